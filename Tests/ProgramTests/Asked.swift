import Foundation

/// What `cluster/soak` asks of the tests beyond what they always do.
enum Asked {
  private static let environment = ProcessInfo.processInfo.environment

  /// What each fault costs in each phase, as a table.
  static let forTable = environment["TUTTI_CHAOS_TABLE"] != nil
  /// Every write torn, not only some.
  static let forEveryWrite = environment["TUTTI_EVERY_WRITE"] != nil
  /// How long to soak; 0 for not at all.
  static let soakSeconds = environment["TUTTI_SOAK_SECONDS"].flatMap(Double.init) ?? 0
  static let soakSeed = environment["TUTTI_SOAK_SEED"].flatMap(UInt64.init)
}

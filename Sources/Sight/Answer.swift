import Foundation
import Training

/// What is said to one request. Whoever asks changes nothing: all that can be done here is to look.
package struct Answer: Equatable, Sendable {
  package var status = 200
  package var type = "text/plain; charset=utf-8"
  package var body: String
  /// Beside those that every answer has.
  package var headers: [String: String] = [:]

  package init(to method: String, _ target: String, seeing view: RunView) {
    self.init(body: "")
    guard let resource = Resource(target: target) else {
      (status, body) = (404, "there is nothing here but \(Resource.list)\n")
      return
    }
    guard method == "GET" || method == "HEAD" else {
      (status, body) = (405, "GET and HEAD are all there is\n")
      headers["Allow"] = "GET, HEAD"
      return
    }
    switch resource {
    case .health:
      if let stuck = view.stuck() {
        status = 503
        body = "stuck: \(view.phase.rawValue), and nothing else for \(stuck.components.seconds) s\n"
      } else {
        body = "\(view.phase.rawValue)\n"
      }
    case .metrics:
      type = "text/plain; version=0.0.4; charset=utf-8"
      body = MetricsText(view).text
    case .status:
      type = "application/json"
      body = StatusDocument(view).json
    case .page:
      type = "text/html; charset=utf-8"
      body = Self.page
      // What a worker calls itself stands on the page, and must not become a part of it.
      headers["Content-Security-Policy"] =
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        + "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
    }
  }

  private init(body: String) { self.body = body }

  package enum Resource: String, CaseIterable, Sendable {
    case page = "/"
    case health = "/healthz"
    case metrics = "/metrics"
    case status = "/status"

    /// - Parameter target: as in a request's first line, with a query perhaps
    package init?(target: String) {
      self.init(rawValue: String(target.prefix { $0 != "?" && $0 != "#" }))
    }

    static let list = allCases.map(\.rawValue).joined(separator: ", ")
  }

  private static let page = String(decoding: PackageResources.page_html, as: UTF8.self)
}

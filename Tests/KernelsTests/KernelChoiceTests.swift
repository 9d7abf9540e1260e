import Kernels
import Testing

@Suite("The choice of kernels")
struct KernelChoiceTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let wish: String?
    let processorHasAVX2: Bool
    /// Part of the name, or of what is said.
    let chosen: String?
    var refusal = ""
    var testDescription: String {
      "\(wish ?? "no wish"), \(processorHasAVX2 ? "with" : "without") AVX2"
    }
  }

  #if arch(x86_64)
    static let cases = [
      Case(wish: nil, processorHasAVX2: true, chosen: "AVX2"),
      Case(wish: nil, processorHasAVX2: false, chosen: "portable"),
      Case(wish: "", processorHasAVX2: true, chosen: "AVX2"),
      Case(wish: "portable", processorHasAVX2: true, chosen: "portable"),
      Case(wish: "portable", processorHasAVX2: false, chosen: "portable"),
      Case(wish: "avx2", processorHasAVX2: true, chosen: "AVX2"),
      Case(
        wish: "avx2", processorHasAVX2: false, chosen: nil, refusal: "this processor lacks AVX2"),
      Case(
        wish: "AVX-512", processorHasAVX2: true, chosen: nil,
        refusal: "TUTTI_KERNELS is portable or avx2, not AVX-512"),
    ]
  #else
    static let cases = [
      Case(wish: nil, processorHasAVX2: false, chosen: "portable"),
      Case(wish: "portable", processorHasAVX2: false, chosen: "portable"),
      Case(wish: "avx2", processorHasAVX2: false, chosen: nil, refusal: "without AVX2"),
    ]
  #endif

  @Test("the processor decides unless a wish does; what cannot be is refused", arguments: cases)
  func choice(_ example: Case) {
    do {
      let set = try KernelChoice.choose(
        wish: example.wish, processorHasAVX2: example.processorHasAVX2)
      #expect(example.chosen.map { set.name.hasPrefix($0) } == true)
    } catch {
      #expect(example.chosen == nil && error.description.contains(example.refusal))
    }
  }

  @Test("a process computes with what was chosen for it")
  func process() throws {
    #expect(try kernels.name == KernelChoice.made.get().name)
  }
}

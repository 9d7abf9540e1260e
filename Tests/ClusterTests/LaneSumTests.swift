import Cluster
import Testing

@Suite struct LaneSumTests {
  /// The definition: recursion along the tree.
  static func slowSum(_ tree: LaneTree, _ vectors: [[Float]], _ node: Range<Int>) -> [Float] {
    guard let (left, right) = tree.children(of: node) else { return vectors[node.lowerBound] }
    let (a, b) = (slowSum(tree, vectors, left), slowSum(tree, vectors, right))
    return zip(a, b).map { $0 + $1 }
  }

  @Test(
    "any split among workers and any order of arrival gives the bits of the direct tree sum",
    arguments: [1, 2, 3, 5, 8, 13, 16, 21], [0, 1, 2, 7, 31, 1009])
  func anySplitAnyOrder(lanes: Int, count: Int) throws {
    var generator = Seeded(UInt64(lanes * 10_000 + count))
    let tree = LaneTree(lanes: lanes)
    for _ in 0..<20 {
      let vectors = (0..<lanes).map { _ in roughVector(count, &generator) }
      let expected = Self.slowSum(tree, vectors, tree.root)

      // Lanes to workers at random, contiguous or not.
      let workers = Int.random(in: 1...lanes + 2, using: &generator)
      var sums = (0..<workers).map { _ in LaneSum(tree: tree, count: count) }
      for lane in (0..<lanes).shuffled(using: &generator) {
        let worker = Int.random(in: 0..<workers, using: &generator)
        let vector = vectors[lane]
        let outcome = sums[worker].add(vector.span, at: lane..<lane + 1)
        #expect(outcome == .added)
      }
      // Their partials in any order, some of them twice.
      var total = LaneSum(tree: tree, count: count)
      var arrivals = sums.flatMap(\.partials)
      arrivals += arrivals.filter { _ in Bool.random(using: &generator) }
      for (node, values) in arrivals.shuffled(using: &generator) {
        let wasCovered = total.covers(node)
        let outcome = total.add(values, at: node)
        #expect(outcome == (wasCovered ? .duplicate : .added))
        #expect(total.partials.count <= (lanes + 1) / 2)
      }
      #expect(total.missing.isEmpty)
      #expect(bits(try #require(total.total)) == bits(expected))
    }
  }

  @Test("a whole subtree that arrives after parts of it replaces them")
  func overlap() {
    let tree = LaneTree(lanes: 4)
    var sum = LaneSum(tree: tree, count: 1)
    #expect(sum.add([1].span, at: 0..<1) == .added)
    #expect(sum.add([4].span, at: 2..<3) == .added)
    #expect(sum.missing == [1..<2, 3..<4])
    #expect(sum.add([3].span, at: 0..<2) == .added)
    #expect(sum.add([2].span, at: 1..<2) == .duplicate)
    #expect(sum.add([8].span, at: 3..<4) == .added)
    #expect(sum.total == [15])
  }

  @Test("what does not fit is dropped, and a reset begins anew")
  func refusals() {
    var sum = LaneSum(tree: LaneTree(lanes: 4), count: 2)
    #expect(sum.add([1, 2].span, at: 1..<3) == .notANode)
    #expect(sum.add([1, 2].span, at: 0..<9) == .notANode)
    #expect(sum.add([1, 2].span, at: 3..<3) == .notANode)
    #expect(sum.add([1].span, at: 0..<1) == .wrongLength)
    #expect(sum.partials.isEmpty)
    #expect(sum.add([1, 2].span, at: 0..<4) == .added)
    #expect(sum.total == [1, 2])
    sum.reset()
    #expect(sum.total == nil && sum.missing == [0..<4])
    #expect(sum.add([3, 4].span, at: 0..<4) == .added)
    #expect(sum.total == [3, 4])
  }

  @Test("NaN payloads and signed zeros follow left + right in either order of arrival")
  func specialValues() {
    let left: [Float] = [Float(nan: 1, signaling: false), -0.0, .infinity]
    let right: [Float] = [Float(nan: 2, signaling: false), -0.0, -.infinity]
    var forwards = LaneSum(tree: LaneTree(lanes: 2), count: 3)
    var backwards = forwards
    #expect(forwards.add(left.span, at: 0..<1) == .added)
    #expect(forwards.add(right.span, at: 1..<2) == .added)
    #expect(backwards.add(right.span, at: 1..<2) == .added)
    #expect(backwards.add(left.span, at: 0..<1) == .added)
    #expect(bits(forwards.total!) == bits(backwards.total!))
    #expect(forwards.total!.array[1].sign == .minus)
  }

  @Test("the content hash sees every bit")
  func hash() {
    #expect(contentHash([0, 1].span) == contentHash([0, 1].span))
    #expect(contentHash([0, 1].span) != contentHash([-0.0, 1].span))
    #expect(contentHash([Float]().span) != contentHash([0].span))
  }
}

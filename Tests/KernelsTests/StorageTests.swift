import Kernels
import Testing

@Suite("Storages, tensors and matrices")
struct StorageTests {
  @Test("a storage is aligned to 64 bytes and zero at birth", arguments: [0, 1, 15, 16, 1000])
  func birth(count: Int) {
    let storage = Storage(count: count)
    #expect(Int(bitPattern: storage.base) % 64 == 0)
    #expect(Array(storage.buffer) == Array(repeating: 0, count: count))
  }

  @Test("a shape knows its count and reads like its extents")
  func shape() {
    let shape: Shape = [2, 3, 5]
    #expect(shape.count == 30 && shape.rank == 3 && shape[1] == 3)
    #expect(shape.description == "2 × 3 × 5")
    #expect(Shape([]).count == 1)
  }

  @Test("a tensor as a matrix, and a step of a sequence, are windows on the same floats")
  func windows() {
    let x = Tensor((0..<24).map(Float.init), shape: [2, 3, 4])
    let matrix = x.matrix(rowAxes: 2)
    #expect(matrix.rows == 6 && matrix.columns == 4 && matrix.row(4)[1] == 17)

    let step = x.step(1)
    #expect(step.rows == 2 && step.columns == 4)
    #expect((0..<2).map { step.row($0)[0] } == [4, 16])

    let corner = matrix.rows(1..<3).columns(2..<4)
    corner.fill(-1)
    #expect(x.values[6...7] == [-1, -1] && x.values[10...11] == [-1, -1])
    #expect(x.values.filter { $0 == -1 }.count == 4)
  }
}

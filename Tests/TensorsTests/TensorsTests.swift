import Tensors
import Testing

@Suite struct ShapeTests {
  @Test(arguments: [([2, 3, 4], 24), ([], 1), ([0, 5], 0)])
  func `the count is the product of the extents`(extents: [Int], count: Int) {
    #expect(Shape(checking: extents)?.count == count)
  }

  @Test(arguments: [[-1, 2], [1 << 40, 1 << 40]])
  func `a negative or overflowing extent is no shape`(extents: [Int]) { #expect(Shape(checking: extents) == nil) }
}

@Suite struct HalfPrecisionTests {
  /// Every one of the 65 536 halves against Swift's own Float16.
  @Test func `every half is read exactly`() {
    for bits in UInt16.min...UInt16.max {
      let ours = float(fromHalf: bits)
      let theirs = Float(Float16(bitPattern: bits))
      #expect(ours.isNaN ? theirs.isNaN : ours.bitPattern == theirs.bitPattern)
    }
  }

  @Test func `a bfloat16 is the upper half of a float`() {
    #expect(float(fromBrain: 0x3F80) == 1)
    #expect(float(fromBrain: 0xC049) == -3.140625)
  }
}

@Suite struct HostTensorTests {
  @Test func `integers and floats of every width are read by value`() {
    #expect(HostTensor([1.5, -2] as [Double], shape: [2]).floats() == [1.5, -2])
    #expect(HostTensor([-1, 3] as [Int64], shape: [2]).doubles() == [-1, 3])
    #expect(HostTensor(elementType: .int16, shape: [1], bytes: [0xFE, 0xFF]).floats() == [-2])
    #expect(HostTensor(elementType: .uint8, shape: [2], bytes: [0, 255]).doubles() == [0, 255])
    #expect(HostTensor(elementType: .float16, shape: [1], bytes: [0x00, 0x3E]).doubles() == [1.5])
  }
}

@Suite struct NamedTensorsTests {
  @Test func `a name is taken once and order is kept`() {
    var tensors = NamedTensors()
    let accepted = [("b", 1), ("a", 2), ("b", 3)].map { name, value in
      tensors.insert(HostTensor([Float(value)], shape: [1]), named: name)
    }
    #expect(accepted == [true, true, false])
    #expect(tensors.names == ["b", "a"])
    #expect(tensors["b"]?.floats() == [1])
  }
}

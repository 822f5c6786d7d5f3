/// The extents of a block of numbers, outermost first (C order).
public struct Shape: Hashable, Sendable, CustomStringConvertible, ExpressibleByArrayLiteral {
  public let extents: [Int]

  /// The number of elements: the product of the extents; 1 for a scalar.
  public let count: Int

  /// The shape with these extents, or nil where one is negative or their product does not fit in an `Int`.
  public init?(checking extents: [Int]) {
    var count = 1
    for extent in extents {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard extent >= 0, !overflow else { return nil }
      count = product
    }
    self.extents = extents
    self.count = count
  }

  /// A shape that our own code knows to be one.
  public init(_ extents: [Int]) {
    guard let shape = Shape(checking: extents) else { preconditionFailure("not a shape: \(extents)") }
    self = shape
  }

  public init(arrayLiteral extents: Int...) { self.init(extents) }

  public var rank: Int { extents.count }

  public subscript(axis: Int) -> Int { extents[axis] }

  /// Elements between neighbours along each axis of a block in C order without gaps.
  public var contiguousStrides: [Int] {
    var strides = [Int](repeating: 1, count: rank)
    for axis in (0..<max(rank - 1, 0)).reversed() { strides[axis] = strides[axis + 1] * max(extents[axis + 1], 1) }
    return strides
  }

  /// `[64, 3, 7, 7]`; a scalar is `[]`.
  public var description: String { "[" + extents.map(String.init).joined(separator: ", ") + "]" }
}

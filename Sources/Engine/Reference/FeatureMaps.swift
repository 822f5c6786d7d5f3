/// Feature maps of N images, `[N, C, H, W]` in C order.
struct FeatureMaps<Scalar: ReferenceScalar>: Sendable {
  let count: Int
  let shape: FeatureShape
  var values: [Scalar]

  init(count: Int, shape: FeatureShape) {
    self.init(count: count, shape: shape, values: [Scalar](repeating: 0, count: count * shape.count))
  }

  init(count: Int, shape: FeatureShape, values: [Scalar]) {
    precondition(values.count == count * shape.count, "\(values.count) values for \(count) × \(shape)")
    self.count = count
    self.shape = shape
    self.values = values
  }

  /// Where plane `channel` of `image` begins.
  func offset(image: Int, channel: Int) -> Int { (image * shape.channels + channel) * shape.area }
}

/// Lets a closure that runs on several threads write through a pointer: each call writes elements of its own.
struct SharedPointer<Element>: @unchecked Sendable {
  let base: UnsafeMutablePointer<Element>

  init(_ buffer: UnsafeMutableBufferPointer<Element>) { base = buffer.baseAddress ?? .nowhere }

  static func + (pointer: SharedPointer, offset: Int) -> UnsafeMutablePointer<Element> { pointer.base + offset }
}

/// The same for reading.
struct SharedConstPointer<Element>: @unchecked Sendable {
  let base: UnsafePointer<Element>

  init(_ buffer: UnsafeBufferPointer<Element>) {
    base = buffer.baseAddress ?? UnsafePointer(UnsafeMutablePointer.nowhere)
  }

  static func + (pointer: SharedConstPointer, offset: Int) -> UnsafePointer<Element> { pointer.base + offset }
}

extension UnsafeMutablePointer {
  /// Where the elements of an empty buffer are: nobody reads them.
  fileprivate static var nowhere: UnsafeMutablePointer {
    UnsafeMutableRawPointer(bitPattern: MemoryLayout<Pointee>.alignment).unsafelyUnwrapped
      .assumingMemoryBound(to: Pointee.self)
  }
}

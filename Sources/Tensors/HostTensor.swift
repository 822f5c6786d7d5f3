/// A block of numbers in memory: C order, no gaps, little-endian.
public struct HostTensor: Equatable, Sendable {
  public let elementType: ElementType
  public let shape: Shape
  /// `shape.count · elementType.size` bytes.
  public let bytes: [UInt8]

  public init(elementType: ElementType, shape: Shape, bytes: [UInt8]) {
    precondition(bytes.count == shape.count * elementType.size, "\(bytes.count) bytes for \(elementType) \(shape)")
    self.elementType = elementType
    self.shape = shape
    self.bytes = bytes
  }

  public init(_ values: [Float], shape: Shape) {
    self.init(elementType: .float32, shape: shape, bytes: values.withUnsafeBytes { [UInt8]($0) })
  }

  public init(_ values: [Double], shape: Shape) {
    self.init(elementType: .float64, shape: shape, bytes: values.withUnsafeBytes { [UInt8]($0) })
  }

  public init(_ values: [Int64], shape: Shape) {
    self.init(elementType: .int64, shape: shape, bytes: values.withUnsafeBytes { [UInt8]($0) })
  }

  /// The elements as `Float`, rounded to nearest where they are wider.
  public func floats() -> [Float] {
    switch elementType {
    case .float32: elements(UInt32.self) { Float(bitPattern: $0) }
    case .float64: elements(UInt64.self) { Float(Double(bitPattern: $0)) }
    case .float16: elements(UInt16.self) { float(fromHalf: $0) }
    case .bfloat16: elements(UInt16.self) { float(fromBrain: $0) }
    case .int64: elements(Int64.self) { Float($0) }
    case .int32: elements(Int32.self) { Float($0) }
    case .int16: elements(Int16.self) { Float($0) }
    case .int8: elements(Int8.self) { Float($0) }
    case .uint64: elements(UInt64.self) { Float($0) }
    case .uint32: elements(UInt32.self) { Float($0) }
    case .uint16: elements(UInt16.self) { Float($0) }
    case .uint8, .bool: bytes.map { Float($0) }
    }
  }

  /// The elements as `Double`; exact for every floating-point type.
  public func doubles() -> [Double] {
    switch elementType {
    case .float64: elements(UInt64.self) { Double(bitPattern: $0) }
    case .int64: elements(Int64.self) { Double($0) }
    case .uint64: elements(UInt64.self) { Double($0) }
    case .int32: elements(Int32.self) { Double($0) }
    case .uint32: elements(UInt32.self) { Double($0) }
    case .float32, .float16, .bfloat16, .int16, .int8, .uint16, .uint8, .bool: floats().map(Double.init)
    }
  }

  /// Each element, read as a little-endian integer of its width and translated.
  private func elements<Bits: FixedWidthInteger, Value>(_: Bits.Type, _ value: (Bits) -> Value) -> [Value] {
    bytes.withUnsafeBytes { buffer in
      (0..<shape.count).map { index in
        value(Bits(littleEndian: buffer.loadUnaligned(fromByteOffset: index * MemoryLayout<Bits>.size, as: Bits.self)))
      }
    }
  }
}

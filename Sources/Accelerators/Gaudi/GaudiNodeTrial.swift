import Engine

/// One node, or two where the first makes what only the second can read, by itself on a card: what `doctor` compiles and compares with its definition.
struct GaudiNodeTrial {
  typealias Value = GaudiGraph.Value

  /// What stands at an input, a value each; fastest size first.
  struct Input {
    let element: GaudiElement
    let sizes: [Int]
    let values: [Double]
  }

  let kinds: [GaudiNodeKind]
  /// A.
  let element: GaudiElement
  let inputs: [Input]
  /// What the outputs are by definition, in Double, and as what they come.
  let expected: [(element: GaudiElement, values: [Double])]
  let graph: GaudiGraph

  private static let given: [GaudiSection] = [.given0, .given1, .given2, .given3, .given4]
  static let made: [GaudiSection] = [.made0, .made1, .made2]

  /// `build` adds the nodes over the inputs, whose last outputs go into `made`.
  init(
    _ kinds: [GaudiNodeKind], _ element: GaudiElement, _ inputs: [Input],
    expected: [(element: GaudiElement, values: [Double])],
    _ build: (inout GaudiGraph, [Value]) -> Void
  ) {
    (self.kinds, self.element, self.inputs, self.expected) = (kinds, element, inputs, expected)
    var graph = GaudiGraph(kinds.map { $0.guid(element) }.joined(separator: ", "))
    let values = zip(inputs, Self.given).map { input, section in
      graph.persistent(section.rawValue, input.element, input.sizes, in: section)
    }
    build(&graph, values)
    self.graph = graph
  }

  var name: String { graph.name }

  /// How results on `device` differ from the definition; empty where rounding explains them.
  func findings(on device: GaudiDevice) throws(BackendError) -> [String] {
    let workshop = try GaudiWorkshop<Int>(device, batch: 1, recipes: nil)
    func memory(_ count: Int, _ element: GaudiElement) throws(BackendError) -> Piece {
      Piece(try GaudiMemory(count * element.bytes, forBatch: 1, on: device))
    }
    let host = try GaudiHostMemory(
      8 * ((inputs.map(\.values.count) + expected.map(\.values.count)).max() ?? 1), for: device)
    var (pieces, addresses) = ([Piece](), [GaudiSection: UInt64]())
    for (input, section) in zip(inputs, Self.given) {
      let piece = try memory(input.values.count, input.element)
      input.element.write(input.values, to: host.pointer)
      try workshop.stream.copy(
        input.values.count * input.element.bytes, from: UnsafeRawPointer(host.pointer), to: piece.memory.address)
      try workshop.stream.wait(name)
      addresses[section] = piece.memory.address
      pieces.append(piece)
    }
    for (output, section) in zip(expected, Self.made) {
      let piece = try memory(output.values.count, output.element)
      addresses[section] = piece.memory.address
      pieces.append(piece)
    }
    try workshop.launch(0, addresses) { graph }
    var failures: [String] = []
    for (index, output) in expected.enumerated() {
      guard let address = addresses[Self.made[index]] else { continue }
      try workshop.stream.copy(output.values.count * output.element.bytes, from: address, to: host.pointer)
      try workshop.stream.wait(name)
      let found = output.element.read(output.values.count, from: host.pointer)
      if let wrong = difference(found, output.values, rounded: output.element) {
        failures.append("output \(index): \(wrong)")
      }
    }
    // Memory is the card's until here.
    withExtendedLifetime(pieces) {}
    return failures
  }

  private final class Piece {
    let memory: GaudiMemory
    init(_ memory: consuming GaudiMemory) { self.memory = memory }
  }

  /// Where a result is further from the definition than rounding takes it: of sums of some hundred products in float, 10⁻⁵ of the largest; where what is
  /// computed with is bf16 behind a node that rounds, 2⁻⁷.
  private func difference(_ found: [Double], _ values: [Double], rounded element: GaudiElement) -> String? {
    let largest = values.reduce(0) { max($0, abs($1)) }
    let bound = (element == .bf16 || self.element == .bf16 ? 1.0 / 128 : 1e-5) * max(largest, 1e-3)
    for (index, (mine, theirs)) in zip(found, values).enumerated() where !(abs(mine - theirs) <= bound) {
      return "value \(index) of \(values.count) is \(mine), by definition \(theirs)"
    }
    return nil
  }
}

extension GaudiElement {
  /// To the nearest value that it holds, of two to the even.
  func rounded(_ value: Double) -> Double {
    switch self {
    case .float: Double(Float(value))
    case .bf16: Double(Float(bitPattern: UInt32(Self.upperHalf(Float(value))) << 16))
    case .int16, .byte: value.rounded()
    }
  }

  private static func upperHalf(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    return UInt16(truncatingIfNeeded: (bits &+ 0x7fff &+ ((bits >> 16) & 1)) >> 16)
  }

  fileprivate func write(_ values: [Double], to pointer: UnsafeMutableRawPointer) {
    for (index, value) in values.enumerated() {
      switch self {
      case .float: pointer.storeBytes(of: Float(value), toByteOffset: 4 * index, as: Float.self)
      case .bf16:
        pointer.storeBytes(of: Self.upperHalf(Float(value)), toByteOffset: 2 * index, as: UInt16.self)
      case .int16: pointer.storeBytes(of: Int16(value), toByteOffset: 2 * index, as: Int16.self)
      case .byte: pointer.storeBytes(of: UInt8(value), toByteOffset: index, as: UInt8.self)
      }
    }
  }

  fileprivate func read(_ count: Int, from pointer: UnsafeRawPointer) -> [Double] {
    (0..<count).map { index in
      switch self {
      case .float: Double(pointer.load(fromByteOffset: 4 * index, as: Float.self))
      case .bf16:
        Double(Float(bitPattern: UInt32(pointer.load(fromByteOffset: 2 * index, as: UInt16.self)) << 16))
      case .int16: Double(pointer.load(fromByteOffset: 2 * index, as: Int16.self))
      case .byte: Double(pointer.load(fromByteOffset: index, as: UInt8.self))
      }
    }
  }
}

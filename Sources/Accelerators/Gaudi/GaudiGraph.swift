import Engine
import Platform

/// What a tensor holds: synDataType.
enum GaudiElement: CInt {
  case bf16 = 2
  case float = 4
  case int16 = 8
  case byte = 32

  var bytes: Int {
    switch self {
    case .byte: 1
    case .bf16, .int16: 2
    case .float: 4
    }
  }

  /// As guids end.
  var suffix: String {
    switch self {
    case .bf16: "bf16"
    case .float: "f32"
    case .int16: "i16"
    case .byte: "u8"
    }
  }

  init(_ precision: Precision) { self = precision == .bf16 ? .bf16 : .float }
}

/// A piece of memory that lives longer than a launch, and whose address is said with each.
enum GaudiSection: String {
  // Of passes through the network.
  case images, pixels, features, classifier, running, statistics, factors, logits, maps
  case featureGradients, classifierGradients
  // Of updates: what is read, and what is written in its place.
  case weights, gradients, first, second, scalars, newWeights, newFirst, newSecond, squares
  // Of a sum of gradients.
  case total, more, sum
  // Of a trial of one node.
  case given0, given1, given2, given3, given4, made0, made1, made2
}

/// Of a graph: where it lies, and what it holds. Sizes have the fastest first: NHWC is (C, W, H, N).
struct GaudiTensor {
  let name: String
  var element: GaudiElement
  var sizes: [Int]
  /// Where it lives on; nil for what is gone when the launch is over, and lies in the workspace.
  let place: (section: GaudiSection, offset: Int)?

  var count: Int { sizes.reduce(1, *) }
  var bytes: Int { count * element.bytes }
}

/// Of a graph: what is made of what. Tensors by their index; nil for an input that is left out.
struct GaudiNode {
  let kind: GaudiNodeKind
  var guid: String
  let name: String
  var inputs: [Int?]
  var outputs: [Int]
  var parameters: [UInt8]
}

/// What is computed in a launch, before anything of Synapse knows of it.
///
/// No launch reads what it writes: what is updated is written elsewhere, and who launches exchanges the two. So the order of nodes is that of their tensors
/// alone, and needs no other rule.
struct GaudiGraph {
  let name: String
  var tensors: [GaudiTensor] = []
  var nodes: [GaudiNode] = []

  init(_ name: String) { self.name = name }

  /// A tensor as nodes take it.
  struct Value {
    fileprivate let index: Int
    let element: GaudiElement
    let sizes: [Int]
  }

  /// A tensor of a section, at `offset` bytes.
  mutating func persistent(
    _ name: String, _ element: GaudiElement, _ sizes: [Int], in section: GaudiSection, at offset: Int = 0
  ) -> Value {
    append(GaudiTensor(name: name, element: element, sizes: sizes, place: (section, offset)))
  }

  private mutating func append(_ tensor: GaudiTensor) -> Value {
    precondition(tensor.count > 0, "an empty tensor \(tensor.name)")
    tensors.append(tensor)
    return Value(index: tensors.count - 1, element: tensor.element, sizes: tensor.sizes)
  }

  /// Adds a node whose outputs lie in the workspace, but for those that `into` names places for.
  ///
  /// `element`: A of the node's rule, where it has one. `shapes`: of each output.
  mutating func add(
    _ kind: GaudiNodeKind, _ name: String, _ element: GaudiElement = .float, _ inputs: [Value?],
    shapes: [(GaudiElement, [Int])], parameters: [UInt8] = [], into: [Int: (section: GaudiSection, offset: Int)] = [:]
  ) -> [Value] {
    let rule = kind.rule
    precondition(rule.inputs.allows(inputs.map { $0?.element }, element), "\(kind): inputs \(inputs)")
    precondition(rule.outputs.allows(shapes.map { $0.0 }, element), "\(kind): outputs \(shapes)")
    precondition(rule.parameterBytes == parameters.count, "\(kind): \(parameters.count) bytes of parameters")
    let outputs = shapes.enumerated().map { index, shape in
      append(
        GaudiTensor(
          name: shapes.count == 1 ? name : "\(name)/\(index)", element: shape.0, sizes: shape.1, place: into[index]))
    }
    nodes.append(
      GaudiNode(
        kind: kind, guid: kind.guid(element), name: name, inputs: inputs.map { $0?.index },
        outputs: outputs.map { $0.index }, parameters: parameters))
    return outputs
  }

  /// What is launched with an address each.
  var persistent: [GaudiTensor] { tensors.filter { $0.place != nil } }

  /// Two graphs are the same where this is.
  var description: String {
    var lines = tensors.map { tensor in
      "\(tensor.name) \(tensor.element.suffix) \(tensor.sizes)"
        + (tensor.place.map { " \($0.section.rawValue)+\($0.offset)" } ?? "")
    }
    lines += nodes.map { node in
      "\(node.guid) \(node.name) \(node.inputs.map { $0 ?? -1 }) \(node.outputs) \(node.parameters)"
    }
    return lines.joined(separator: "\n")
  }
}

/// The bytes of a node's parameters.
func nodeParameters(_ value: some BitwiseCopyable) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

import Platform
import Tensors

/// Every tensor of a file that does not fit a network, and every parameter that has none.
public struct TensorFaults: Equatable, Sendable {
  public struct Misshaped: Equatable, Sendable {
    public var name: String
    public var expected: Shape
    public var found: Shape
  }

  /// Parameters of the network that no tensor is for.
  public var missing: [String]
  /// Tensors that no parameter of the network takes, and that nothing known leaves beside one.
  public var unexpected: [String]
  public var misshaped: [Misshaped]

  public init(missing: [String] = [], unexpected: [String] = [], misshaped: [Misshaped] = []) {
    self.missing = missing
    self.unexpected = unexpected
    self.misshaped = misshaped
  }

  public var isEmpty: Bool { missing.isEmpty && unexpected.isEmpty && misshaped.isEmpty }

  var id: String {
    switch (missing.isEmpty, unexpected.isEmpty, misshaped.isEmpty) {
    case (false, true, true): "weights.missing-parameters"
    case (true, false, true): "weights.unexpected-tensors"
    case (true, true, false): "weights.wrong-shape"
    default: "weights.unaccounted"
    }
  }

  /// `2 parameters of the network have no tensor, 1 tensor has no place in it`
  var summary: String {
    func count(_ number: Int, _ one: String, _ many: String) -> String? {
      number == 0 ? nil : number == 1 ? "1 " + one : "\(number) " + many
    }
    return [
      count(missing.count, "parameter of the network has no tensor", "parameters of the network have no tensor"),
      count(unexpected.count, "tensor has no place in it", "tensors have no place in it"),
      count(misshaped.count, "tensor has another shape than it needs", "tensors have other shapes than it needs"),
    ].compactMap { $0 }.joined(separator: ", ")
  }

  /// One line for each.
  var details: [String] {
    missing.map { "missing    \($0.printable)" } + unexpected.map { "unexpected \($0.printable)" }
      + misshaped.map { "misshaped  \($0.name.printable): \($0.found), the network needs \($0.expected)" }
  }
}

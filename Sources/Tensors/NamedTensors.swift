/// Tensors by name, in the order in which their file has them.
public struct NamedTensors: Sendable {
  public private(set) var names: [String] = []
  private var tensors: [String: HostTensor] = [:]

  public init() {}

  public var count: Int { names.count }

  public subscript(name: String) -> HostTensor? { tensors[name] }

  /// Adds a tensor; false, and nothing changed, where the name is taken.
  public mutating func insert(_ tensor: HostTensor, named name: String) -> Bool {
    guard tensors[name] == nil else { return false }
    tensors[name] = tensor
    names.append(name)
    return true
  }

  /// Calls `body` with each name and tensor, in order.
  public func forEach(_ body: (String, HostTensor) throws -> Void) rethrows {
    for name in names {
      if let tensor = tensors[name] { try body(name, tensor) }
    }
  }
}

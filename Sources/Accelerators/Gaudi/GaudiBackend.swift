import Engine

/// The textbook's operations on an Intel Gaudi, compiled by Synapse, whose library is found at run time.
public struct GaudiBackend: Backend {
  public let name: String
  public let precision: Precision
  let device: GaudiDevice
  private let recipes: String?

  /// `name`: `gaudi`, or `gaudi:1` for the card whose module has that number. `local`: this process among those of its host, each of which `gaudi` gives a
  /// card of its own. `recipes`: a folder where compiled graphs are kept; nil for none. Throws `device`.
  public init(
    _ name: String, _ precision: Precision = .bf16, local: (rank: Int, size: Int) = (0, 1), recipes: String? = nil
  ) throws(BackendError) {
    self.init(try GaudiDevice(named: name, local: local), name, precision, recipes: recipes)
  }

  /// On a card that is taken.
  init(_ device: GaudiDevice, _ name: String = "gaudi", _ precision: Precision, recipes: String? = nil) {
    (self.device, self.name, self.precision, self.recipes) = (device, name, precision, recipes)
  }

  public func makeSession(_ plan: Plan) throws(BackendError) -> any Session {
    switch plan.mode {
    case .inference: return try GaudiSession(plan, precision, device, recipes: recipes)
    case .training: return try GaudiTraining(plan, precision, device, recipes: recipes)
    }
  }
}

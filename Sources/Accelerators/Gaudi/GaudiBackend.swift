import Engine

/// Where compiled graphs are kept, and who is told before one is compiled: that of a network takes a compiler minutes.
public struct GaudiRecipes: Sendable {
  let folder: String
  let announce: @Sendable (String) -> Void

  public init(folder: String, announce: @escaping @Sendable (String) -> Void) {
    (self.folder, self.announce) = (folder, announce)
  }
}

/// The textbook's operations on an Intel Gaudi, compiled by Synapse, whose library is found at run time.
public struct GaudiBackend: Backend {
  public let name: String
  public let precision: Precision
  let device: GaudiDevice
  private let recipes: GaudiRecipes?

  /// `name`: `gaudi`, or `gaudi:1` for the card whose module has that number. `local`: this process among those of its host, each of which `gaudi` gives a
  /// card of its own. `recipes`: nil where they are not kept. Throws `device`.
  public init(
    _ name: String, _ precision: Precision = .bf16, local: (rank: Int, size: Int) = (0, 1), recipes: GaudiRecipes? = nil
  ) throws(BackendError) {
    self.init(try GaudiDevice(named: name, local: local), name, precision, recipes: recipes)
  }

  /// On a card that is taken.
  init(_ device: GaudiDevice, _ name: String = "gaudi", _ precision: Precision, recipes: GaudiRecipes? = nil) {
    (self.device, self.name, self.precision, self.recipes) = (device, name, precision, recipes)
  }

  public func makeSession(_ plan: Plan) throws(BackendError) -> any Session {
    switch plan.mode {
    case .inference: return try GaudiSession(plan, precision, device, recipes: recipes)
    case .training: return try GaudiTraining(plan, precision, device, recipes: recipes)
    }
  }
}

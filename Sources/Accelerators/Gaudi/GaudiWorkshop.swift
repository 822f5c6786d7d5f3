import Engine

/// Recipes of a session, each compiled when it is first launched, and the workspace that they share: a stream launches one after the other.
final class GaudiWorkshop<Key: Hashable> {
  let stream: GaudiStream
  private let device: GaudiDevice
  private let kept: GaudiRecipes?
  /// Of the session, for what there may be memory.
  private let batch: Int
  private var recipes: [Key: GaudiRecipe] = [:]
  private var workspace: GaudiMemory

  /// `recipes`: where they are kept, or nil.
  init(_ device: GaudiDevice, batch: Int, recipes: GaudiRecipes?) throws(BackendError) {
    (self.device, self.batch, kept) = (device, batch, recipes)
    workspace = try Self.memory(1, for: batch, on: device)
    stream = try GaudiStream(device)
  }

  var workspaceBytes: Int { workspace.bytes }

  /// Asks for what the graph of `key` says, which is made where it was not known. `addresses`: of each of its sections.
  func launch(
    _ key: Key, _ addresses: [GaudiSection: UInt64], _ graph: () -> GaudiGraph
  ) throws(BackendError) {
    let recipe = try recipe(key, graph)
    try recipe.launch(on: stream, addresses, workspace: workspace.address)
  }

  private func recipe(_ key: Key, _ graph: () -> GaudiGraph) throws(BackendError) -> GaudiRecipe {
    if let known = recipes[key] { return known }
    let graph = graph()
    let made = try GaudiRecipe(
      graph, device.synapse, device.generation, device: device.title,
      cache: kept.map { RecipeFile(graph, release: device.synapse.release, device.generation, in: $0) })
    if made.workspaceBytes > workspace.bytes {
      // What is under way reads the old one.
      try stream.wait("a larger workspace")
      workspace = try Self.memory(0, for: batch, on: device)
      workspace = try Self.memory(made.workspaceBytes, for: batch, on: device, isWorkspace: true)
    }
    recipes[key] = made
    return made
  }

  /// Throws `outOfMemory` where there is none for `bytes`; with the largest batch that there would be memory for, where `isWorkspace`: nearly all of that grows
  /// with the batch, and nothing is asked for behind it.
  static func memory(
    _ bytes: Int, for batch: Int, on device: GaudiDevice, isWorkspace: Bool = false
  ) throws(BackendError) -> GaudiMemory {
    if let memory = try GaudiMemory.allocate(bytes, on: device) { return memory }
    let (free, total) = try device.memory()
    let share = Double(free) / Double(max(bytes, 1))
    throw .device(
      .gaudi(
        .outOfMemory(
          device: device.title, wanted: bytes, free: free, total: total, batch: batch,
          fitting: isWorkspace ? min(batch - 1, Int(Double(batch) * share)) : nil)))
  }
}

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
    workspace = try GaudiMemory(1, forBatch: batch, on: device)
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
      workspace = try GaudiMemory(0, forBatch: batch, on: device)
      workspace = try GaudiMemory(made.workspaceBytes, forBatch: batch, on: device, isWorkspace: true)
    }
    recipes[key] = made
    return made
  }
}

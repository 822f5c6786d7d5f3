import CSynapse
import Engine
import Foundation
import Platform

/// A graph as the graph compiler has made it for a generation: what a card launches.
final class GaudiRecipe {
  /// Of memory that a launch needs for what does not outlive it.
  let workspaceBytes: Int
  private let name: String
  private let synapse: Synapse
  private let handle: SynapseHandle
  /// Each with its section and its place in it; names are C strings of our own.
  private var tensors: [(argument: synapse_launch_tensor, section: GaudiSection, offset: UInt64)] = []
  private let names: [UnsafeMutablePointer<CChar>]

  /// `device`: what it is compiled for, as errors name it.
  ///
  /// The recipe comes from `RecipeFile` where one of the same graph, release and generation is there; else it is compiled, which takes a while, and kept.
  init(
    _ graph: GaudiGraph, _ synapse: Synapse, _ generation: GaudiGeneration, device: String, cache: RecipeFile? = nil
  ) throws(BackendError) {
    let functions = synapse.functions
    if let known = cache?.read(functions) {
      handle = known
    } else {
      cache?.announce(graph, device)
      handle = try GaudiCompiler(synapse, generation, device: device).compile(graph)
      cache?.write(handle, functions)
    }
    (self.synapse, name) = (synapse, graph.name)
    var bytes: UInt64 = 0
    let status = functions.workspaceBytes(&bytes, handle)
    workspaceBytes = Int(bytes)

    let persistent = graph.persistent
    names = persistent.compactMap { strdup($0.name) }
    var pointers = names.map { UnsafePointer<CChar>?($0) }
    var identifiers = [UInt64](repeating: 0, count: persistent.count)
    let found = functions.identifiers(handle, &pointers, &identifiers, UInt32(persistent.count))
    guard status == 0, found == 0 else {
      throw status == 0
        ? synapse.fault("synTensorRetrieveIds", found, on: device, graph.name)
        : synapse.fault("synWorkspaceGetSize", status, on: device, graph.name)
    }
    for (index, tensor) in persistent.enumerated() {
      guard let place = tensor.place else { continue }
      var argument = synapse_launch_tensor()
      (argument.name, argument.kind, argument.identifier) = (
        UnsafePointer(names[index]), SynapseConstant.dataTensor, identifiers[index]
      )
      tensors.append((argument, place.section, UInt64(place.offset)))
    }
  }

  deinit {
    _ = synapse.functions.destroyRecipe(handle)
    for name in names { free(name) }
  }

  /// Asks `stream` for what the graph says. `addresses`: of each of its sections; `workspace`: of as many bytes as it needs.
  func launch(
    on stream: borrowing GaudiStream, _ addresses: [GaudiSection: UInt64], workspace: UInt64
  ) throws(BackendError) {
    let arguments = tensors.map { tensor in
      guard let base = addresses[tensor.section] else { preconditionFailure("\(tensor.section) is nowhere") }
      var argument = tensor.argument
      argument.address = base + tensor.offset
      return argument
    }
    try stream.device.check(
      "synLaunch",
      synapse.functions.launch(stream.handle, arguments, UInt32(arguments.count), workspace, handle, 0), name)
  }
}

/// A recipe on disk, under the name of what it was compiled from, with its digest beside it: what a disk or another process has damaged is not given to
/// Synapse, of which nobody says what it does with that.
struct RecipeFile {
  private let path: String
  private let recipes: GaudiRecipes

  /// Everything that a recipe depends on is in the name: the graph, the release, the generation.
  init(_ graph: GaudiGraph, release: String, _ generation: GaudiGeneration, in recipes: GaudiRecipes) {
    self.recipes = recipes
    let text = "\(release)\n\(generation.rawValue)\n\(graph.description)"
    path = "\(recipes.folder)/\(graph.name)-\(SHA256.hex(of: Array(text.utf8))).recipe"
  }

  /// Of graphs that take their time: an optimizer's has some twenty nodes.
  fileprivate func announce(_ graph: GaudiGraph, _ device: String) {
    if graph.nodes.count > 100 {
      recipes.announce("compiling \(graph.name) (\(graph.nodes.count) nodes) for \(device), once for this batch size")
    }
  }

  private var digestPath: String { path + ".sha256" }

  /// nil where there is none that is whole, and that Synapse takes.
  fileprivate func read(_ functions: SynapseFunctions) -> SynapseHandle? {
    guard let digest = try? FileReader.contents(of: digestPath), let found = try? SHA256.hex(ofFile: path),
      digest == Array(found.utf8)
    else { return nil }
    var handle: SynapseHandle?
    return functions.deserialize(&handle, path) == 0 ? handle : nil
  }

  /// Whole or not at all. Where the folder takes no file, the next start compiles again.
  fileprivate func write(_ handle: SynapseHandle, _ functions: SynapseFunctions) {
    guard (try? FileManager.default.createDirectory(atPath: recipes.folder, withIntermediateDirectories: true)) != nil
    else {
      return
    }
    let partial = "\(path).\(getpid())"
    defer { unlink(partial) }
    guard functions.serialize(handle, partial) == 0, let digest = try? SHA256.hex(ofFile: partial),
      rename(partial, path) == 0
    else { return }
    try? AtomicFile.write(digest, to: digestPath, overwriting: true)
  }
}

import CHDF5

/// Visits every object of an HDF5 file, through hard links only, checks it, and finds what Keras says about the weights.
struct HDF5Survey {
  /// The groups below the root, and the names that Keras wrote there: of a layer's weights, or of a group `vars`. Faults there count
  /// only where the names are asked for.
  private var groups: [String: Result<[String]?, KerasFault>] = [:]
  private(set) var datasets: [HDF5Dataset] = []
  private var paths: Set<String> = []
  private var visited = 0
  private var pathBytes = 0

  static let objectLimit = 20_000
  static let depthLimit = 16
  /// Bytes of all paths together at the most; the 20 000 of a large network have under 2 MB.
  static let pathLimit = 8 << 20

  init(_ file: borrowing HDF5Handle) throws(KerasFault) { try visit(file, path: "", depth: 0) }

  private mutating func visit(_ group: borrowing HDF5Handle, path: String, depth: Int) throws(KerasFault) {
    guard depth <= Self.depthLimit else { throw .tooDeep(limit: Self.depthLimit) }
    for (name, place) in try HDF5.members(of: group, path, limit: Self.objectLimit) {
      // Counted by visits, so that a cycle of hard links ends.
      visited += 1
      guard visited <= Self.objectLimit else { throw .tooManyObjects(limit: Self.objectLimit) }
      let path = path.isEmpty ? name : path + "/" + name
      pathBytes += path.utf8.count
      guard pathBytes <= Self.pathLimit else { throw .tooLongNames(limit: Self.pathLimit) }
      guard paths.insert(path).inserted else { throw .damaged(doing: "listing \(path)") }
      // The link's kind is asked before it is followed.
      guard let place else { throw .unsafeLink(path) }
      let object = try HDF5Handle(hdf5_open_place(group.id, place), "opening \(path)", closing: hdf5.H5Oclose)
      switch hdf5.H5Iget_type(object.id) {
      case H5I_GROUP:
        groups[path] = names(of: object, path)
        try visit(object, path: path, depth: depth + 1)
      case H5I_DATASET: datasets.append(try HDF5Dataset(object, path: path))
      default: break  // A named type: it holds no numbers.
      }
    }
  }

  /// What the attributes say, and where the numbers stand.
  func description(of file: borrowing HDF5Handle) throws(KerasFault) -> KerasDescription {
    var description = try attributes(of: file)
    description.addresses = datasets.filter { $0.shape.count > 0 }.map(\.address)
    return description
  }

  private func attributes(of file: borrowing HDF5Handle) throws(KerasFault) -> KerasDescription {
    let isWholeModel = groups["model_weights"] != nil
    let root = try openGroup(isWholeModel ? "model_weights" : "/", file)
    var description = KerasDescription(prefix: isWholeModel ? "model_weights/" : "", layout: .layers([]))
    for key in ["keras_version", "backend"] {
      if let value = try HDF5.texts(key, of: root)?.first { description.metadata[key] = .string(value) }
    }
    guard let names = try list("layer_names", of: root) else {
      description.prefix = ""
      description.layout = .variables(try variableGroups())
      return description
    }
    var layers: [KerasDescription.Layer] = []
    for name in names {
      // Keras writes a group for every layer, and lists no weights where it has none.
      guard let weights = groups[description.prefix + name] else { throw .missingWeight(name) }
      layers.append(KerasDescription.Layer(name: name, weights: try weights.get() ?? []))
    }
    description.layout = .layers(layers)
    return description
  }

  /// What Keras wrote at a group about what stands in it.
  private func names(of group: borrowing HDF5Handle, _ path: String) -> Result<[String]?, KerasFault> {
    do throws(KerasFault) {
      return .success(try Self.isVariables(path) ? HDF5.texts("name", of: group) : list("weight_names", of: group))
    } catch {
      return .failure(error)
    }
  }

  /// Whether a group of this path holds the variables of one object in Keras 3.
  private static func isVariables(_ path: String) -> Bool { path == "vars" || path.hasSuffix("/vars") }

  /// The groups `…/vars` that hold datasets, with the names that Keras wrote there; in the file's order.
  private func variableGroups() throws(KerasFault) -> [KerasDescription.Variables] {
    var found: [KerasDescription.Variables] = []
    for dataset in datasets {
      guard let slash = dataset.path.utf8.lastIndex(of: UInt8(ascii: "/")) else { continue }
      let path = String(dataset.path[..<slash])
      guard Self.isVariables(path), found.last?.group != path, let names = groups[path] else { continue }
      found.append(KerasDescription.Variables(group: path, name: try names.get()?.first))
    }
    if found.isEmpty { throw .noLayerNames }
    return found
  }

  private func openGroup(_ path: String, _ file: borrowing HDF5Handle) throws(KerasFault) -> HDF5Handle {
    try HDF5Handle(hdf5.H5Gopen2(file.id, path, hdf5_default), "opening /\(path)", closing: hdf5.H5Gclose)
  }

  /// A list of names, whole or in pieces.
  private func list(_ name: String, of group: borrowing HDF5Handle) throws(KerasFault) -> [String]? {
    if let names = try HDF5.texts(name, of: group) { return names }
    guard var names = try HDF5.texts(name + "0", of: group) else { return nil }
    var piece = 1
    while let more = try HDF5.texts(name + String(piece), of: group) {
      names += more
      guard names.count <= Self.objectLimit else { throw .tooManyObjects(limit: Self.objectLimit) }
      piece += 1
    }
    return names
  }
}

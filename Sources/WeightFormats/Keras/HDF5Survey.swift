import CHDF5

/// Visits every object of an HDF5 file, through hard links only, checks it, and finds what Keras says about the weights.
struct HDF5Survey {
  private(set) var groups: Set<String> = []
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
    for name in try HDF5.members(of: group, path, limit: Self.objectLimit) {
      // Counted by visits, so that a cycle of hard links ends.
      visited += 1
      guard visited <= Self.objectLimit else { throw .tooManyObjects(limit: Self.objectLimit) }
      let path = path.isEmpty ? name : path + "/" + name
      pathBytes += path.utf8.count
      guard pathBytes <= Self.pathLimit else { throw .tooLongNames(limit: Self.pathLimit) }
      guard paths.insert(path).inserted else { throw .damaged(doing: "listing \(path)") }
      // The link's kind is asked before it is followed.
      guard shim_H5Lget_info_type(group.id, name) == H5L_TYPE_HARD else { throw .unsafeLink(path) }
      let object = try HDF5Handle(H5Oopen(group.id, name, shim_H5P_DEFAULT()), "opening \(path)", closing: H5Oclose)
      switch H5Iget_type(object.id) {
      case H5I_GROUP:
        groups.insert(path)
        try visit(object, path: path, depth: depth + 1)
      case H5I_DATASET: datasets.append(try HDF5Dataset(object, path: path))
      default: break  // A named type: it holds no numbers.
      }
    }
  }

  /// What the attributes say.
  func description(of file: borrowing HDF5Handle) throws(KerasFault) -> KerasDescription {
    let isWholeModel = groups.contains("model_weights")
    let root = try openGroup(isWholeModel ? "model_weights" : "/", file)
    var description = KerasDescription(prefix: isWholeModel ? "model_weights/" : "", layout: .layers([]))
    for key in ["keras_version", "backend"] {
      if let value = try HDF5.texts(key, of: root)?.first { description.metadata[key] = .string(value) }
    }
    guard let names = try list("layer_names", of: root) else {
      description.prefix = ""
      description.layout = .variables(try variableGroups(file))
      return description
    }
    var layers: [KerasDescription.Layer] = []
    for name in names {
      // Keras writes a group for every layer, and lists no weights where it has none.
      guard groups.contains(description.prefix + name) else { throw .missingWeight(name) }
      let group = try openGroup(description.prefix + name, file)
      layers.append(KerasDescription.Layer(name: name, weights: try list("weight_names", of: group) ?? []))
    }
    description.layout = .layers(layers)
    return description
  }

  /// The groups `…/vars` that hold datasets, with the names that Keras wrote there; in the file's order.
  private func variableGroups(_ file: borrowing HDF5Handle) throws(KerasFault) -> [KerasDescription.Variables] {
    var found: [KerasDescription.Variables] = []
    for dataset in datasets {
      let group = dataset.path.split(separator: "/").dropLast()
      let path = group.joined(separator: "/")
      guard group.last == "vars", found.last?.group != path else { continue }
      let names = try HDF5.texts("name", of: openGroup(path, file)) ?? []
      found.append(KerasDescription.Variables(group: path, name: names.first))
    }
    if found.isEmpty { throw .noLayerNames }
    return found
  }

  private func openGroup(_ path: String, _ file: borrowing HDF5Handle) throws(KerasFault) -> HDF5Handle {
    try HDF5Handle(H5Gopen2(file.id, path, shim_H5P_DEFAULT()), "opening /\(path)", closing: H5Gclose)
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

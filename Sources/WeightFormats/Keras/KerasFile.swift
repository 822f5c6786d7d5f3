import CHDF5
import Platform
import Tensors

/// The HDF5 file of Keras 1 and 2 (`save_weights`, `save`), which Keras 3 calls legacy.
///
/// The root, or in files with a whole model the group `model_weights`, has an attribute `layer_names`; each layer is a group
/// of that name with an attribute `weight_names`, whose datasets stand under those names inside the group. Slashes in names
/// make groups inside of groups. A list longer than an object header is cut into `layer_names0`, `layer_names1`, ….
enum KerasFile {
  static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

  private static let objectLimit = 20_000
  private static let depthLimit = 16

  /// Lists and checks every object in the file.
  static func open(path: String) throws(WeightFault) -> WeightDirectory {
    HDF5.lock.lock()
    defer { HDF5.lock.unlock() }
    let file = try HDF5.open(path)
    var walk = Walk()
    try walk.collect(file, path: "", depth: 0)
    let isWholeModel = walk.groups.contains("model_weights")
    let prefix = isWholeModel ? "model_weights/" : ""
    let weights = try openGroup(isWholeModel ? "model_weights" : "/", file)
    guard let layers = try list("layer_names", of: weights) else {
      throw walk.groups.contains("layers") || walk.groups.contains("_layer_checkpoint_dependencies")
        ? .format(.keras3Weights) : .keras(.noLayerNames)
    }
    var entries: [WeightFile.Entry] = []
    var datasets: [HDF5Dataset] = []
    var rest = walk.datasets
    for layer in layers {
      // Keras writes a group for every layer, and lists no weights where it has none.
      guard walk.groups.contains(prefix + layer) else { throw .keras(.missingWeight(layer)) }
      let group = try openGroup(prefix + layer, file)
      for (place, weight) in (try list("weight_names", of: group) ?? []).enumerated() {
        let name = layer + "/" + weight
        guard let dataset = rest.removeValue(forKey: prefix + name) else {
          throw walk.datasets[prefix + name] == nil ? .keras(.missingWeight(name)) : .duplicateTensor(name)
        }
        entries.append(
          WeightFile.Entry(
            name: name, elementType: dataset.elementType, shape: dataset.shape, layer: layer, place: place))
        datasets.append(dataset)
      }
    }
    for path in walk.order {
      guard let dataset = rest[path] else { continue }
      entries.append(WeightFile.Entry(name: path, elementType: dataset.elementType, shape: dataset.shape))
      datasets.append(dataset)
    }
    var metadata: [(key: String, value: String)] = []
    for key in ["keras_version", "backend"] {
      if let value = try HDF5.texts(key, of: weights)?.first { metadata.append((key, value)) }
    }
    return WeightDirectory(
      format: .keras, entries: entries, metadata: metadata, source: KerasSource(file: file, datasets: datasets))
  }

  private static func openGroup(_ path: String, _ file: borrowing HDF5Handle) throws(WeightFault) -> HDF5Handle {
    try HDF5Handle(H5Gopen2(file.id, path, shim_H5P_DEFAULT()), "opening /\(path)", closing: H5Gclose)
  }

  /// A list of names, whole or in pieces.
  private static func list(_ name: String, of group: borrowing HDF5Handle) throws(WeightFault) -> [String]? {
    if let names = try HDF5.texts(name, of: group) { return names }
    guard var names = try HDF5.texts(name + "0", of: group) else { return nil }
    var piece = 1
    while let more = try HDF5.texts(name + String(piece), of: group) {
      names += more
      piece += 1
    }
    return names
  }

  /// Visits every object, through hard links only.
  private struct Walk {
    var groups: Set<String> = []
    var datasets: [String: HDF5Dataset] = [:]
    /// The datasets' paths as they were met.
    var order: [String] = []
    private var count = 0

    mutating func collect(_ group: borrowing HDF5Handle, path: String, depth: Int) throws(WeightFault) {
      guard depth <= depthLimit else { throw .keras(.tooDeep(limit: depthLimit)) }
      for name in try HDF5.members(of: group, path, limit: objectLimit) {
        count += 1
        guard count <= objectLimit else { throw .keras(.tooManyObjects(limit: objectLimit)) }
        let path = path.isEmpty ? name : path + "/" + name
        // The link's kind is asked before it is followed.
        guard shim_H5Lget_info_type(group.id, name) == H5L_TYPE_HARD else { throw .keras(.unsafeLink(path)) }
        let object = try HDF5Handle(H5Oopen(group.id, name, shim_H5P_DEFAULT()), "opening \(path)", closing: H5Oclose)
        switch H5Iget_type(object.id) {
        case H5I_GROUP:
          groups.insert(path)
          try collect(object, path: path, depth: depth + 1)
        case H5I_DATASET:
          datasets[path] = try HDF5Dataset(object, path: path)
          order.append(path)
        default: break  // A named type: it holds no numbers.
        }
      }
    }
  }
}

/// Reads datasets from an open file.
private final class KerasSource: TensorSource {
  /// Nil only while the file is being closed.
  private var file: HDF5Handle?
  private let datasets: [HDF5Dataset]

  init(file: consuming HDF5Handle, datasets: [HDF5Dataset]) {
    self.file = consume file
    self.datasets = datasets
  }

  deinit {
    HDF5.lock.lock()
    file = nil
    HDF5.lock.unlock()
  }

  func tensor(at index: Int) throws(WeightFault) -> HostTensor {
    HDF5.lock.lock()
    defer { HDF5.lock.unlock() }
    switch file {
    case .some(let file): return try datasets[index].read(from: file)
    case .none: preconditionFailure("the file was closed")
    }
  }
}

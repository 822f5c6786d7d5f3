import Platform
import Tensors

/// An HDF5 file of Keras, whose objects another process checks and reads (`HDF5Worker`).
///
/// Keras 1 and 2 (`save_weights`, `save`; "legacy" in Keras 3): the root, or in files with a whole model the group
/// `model_weights`, has an attribute `layer_names`; each layer is a group of that name with an attribute `weight_names`, whose
/// datasets stand under those names inside the group. Slashes in names make groups inside of groups. A list longer than an object
/// header is cut into `layer_names0`, `layer_names1`, ….
///
/// Keras 3 (`.weights.h5`): the weights of an object are the datasets `0`, `1`, … of a group `vars`, which stands where the object
/// does in the tree of Python's attributes: `layers/functional/layers/conv2d_1/vars/0` (`saving_lib.py` of Keras 3.15). The group
/// has the layer's name as an attribute, `name`; before Keras 3.6 it has none.
enum KerasFile {
  static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

  /// Checks every object of the HDF5 file that stands in `range` of `file`, or is all of it; calls `body` while another process does.
  /// `names`: asked for the layer of a group (`layers/conv2d_1`) that does not say its name.
  static func open(
    _ file: consuming FileReader, range: Range<Int>? = nil, meanwhile body: () throws(WeightFault) -> Void = {},
    names: (_ group: String) throws(WeightFault) -> String? = { _ in nil }
  ) throws(WeightFault) -> WeightDirectory {
    let range = range ?? 0..<file.size
    let process = try HDF5Process(file, range: range, meanwhile: body)
    return try open(served: process, of: FilePart(file: file, range: range), names: names)
  }

  /// The same of what a process says about a file.
  static func open<Source: ByteSource & ~Copyable, File: ByteSource & ~Copyable>(
    served process: consuming Source, of file: consuming File,
    names: (_ group: String) throws(WeightFault) -> String? = { _ in nil }
  ) throws(WeightFault) -> WeightDirectory {
    let (described, description) = try readDescription(of: process)
    let addresses = try addresses(described.entries, description, size: file.size)
    var places: [String: Int] = [:]
    for (index, entry) in described.entries.enumerated() {
      // The slash in front keeps a dataset from the name `__metadata__`.
      guard entry.name.hasPrefix("/") else { throw .keras(.readerUnbelievable(reason: entry.name)) }
      places[String(entry.name.dropFirst())] = index
    }
    var list: [(entry: WeightFile.Entry, index: Int)] = []
    func add(_ index: Int, name: String, layer: String?, place: Int?) {
      let entry = described.entries[index]
      list.append(
        (
          WeightFile.Entry(
            name: name, elementType: entry.elementType, shape: entry.shape, layer: layer, place: place), index
        ))
    }
    let format: WeightFile.Format
    var used = Set<Int>()
    switch description.layout {
    case .layers(let layers):
      format = .keras
      for layer in layers {
        for (place, weight) in layer.weights.enumerated() {
          let name = layer.name + "/" + weight
          guard let index = places[description.prefix + name] else { throw .keras(.missingWeight(name)) }
          guard used.insert(index).inserted else { throw .duplicateTensor(name) }
          add(index, name: name, layer: layer.name, place: place)
        }
      }
    case .variables(let groups):
      format = .keras3
      let members = variables(described.entries)
      for group in groups {
        let layer = try self.layer(of: group, names)
        for (index, place) in members[group.group] ?? [] where used.insert(index).inserted {
          add(index, name: String(described.entries[index].name.dropFirst()), layer: layer, place: place)
        }
      }
    }
    for index in described.entries.indices where !used.contains(index) {
      add(index, name: String(described.entries[index].name.dropFirst()), layer: nil, place: nil)
    }
    return WeightDirectory(
      format: format, entries: list.map(\.entry),
      metadata: description.metadata.members.map { ($0.key, $0.value.string ?? "") },
      source: KerasSource(
        served: described, file: file, places: list.map { (index: $0.index, address: addresses[$0.index]) }))
  }

  /// Where in the file the numbers of each entry stand; nil where the process has to be asked for them.
  private static func addresses(
    _ entries: [WeightFile.Entry], _ description: KerasDescription, size: Int
  ) throws(WeightFault) -> [Int?] {
    let told = description.addresses
    guard told.count == entries.count(where: { $0.shape.count > 0 }) else {
      throw .keras(.readerUnbelievable(reason: "\(told.count) addresses"))
    }
    var next = 0
    var addresses: [Int?] = []
    for entry in entries {
      var address: Int?
      if entry.shape.count > 0 {
        address = told[next]
        next += 1
      }
      if let address, !(0...size).contains(address) || entry.byteCount > size - address {
        throw .keras(.readerUnbelievable(reason: "\(entry.name) at \(address)"))
      }
      addresses.append(address)
    }
    return addresses
  }

  /// The datasets of each group, by the numbers that are their names; others stand behind these.
  private static func variables(_ entries: [WeightFile.Entry]) -> [String: [(index: Int, place: Int?)]] {
    var groups: [String: [(index: Int, place: Int?)]] = [:]
    for (index, entry) in entries.enumerated() {
      guard let slash = entry.name.lastIndex(of: "/") else { continue }
      let name = entry.name[entry.name.index(after: slash)...]
      // Not `01`, nor `+1`.
      let place = Int(name).flatMap { String($0) == name ? $0 : nil }
      groups[String(entry.name[..<slash].dropFirst()), default: []].append((index, place))
    }
    return groups.mapValues { $0.sorted { ($0.place ?? .max, $0.index) < ($1.place ?? .max, $1.index) } }
  }

  /// The name of the layer whose variables a group holds; nil for the optimizer's.
  private static func layer(
    of group: KerasDescription.Variables, _ names: (String) throws(WeightFault) -> String?
  ) throws(WeightFault) -> String? {
    let path = group.group.split(separator: "/").dropLast().joined(separator: "/")
    if path == "optimizer" || path.hasPrefix("optimizer/") { return nil }
    if let name = group.name { return name }
    return try names(path) ?? path
  }

  /// What the process serves, read as the safetensors file that it looks like.
  private static func readDescription<Source: ByteSource & ~Copyable>(
    of process: consuming Source
  ) throws(WeightFault) -> (WeightDirectory, KerasDescription) {
    let directory: WeightDirectory
    do throws(WeightFault) {
      directory = try Safetensors.open(process)
    } catch .safetensors(let fault) {
      throw .keras(.readerUnbelievable(reason: fault.diagnosis.message))
    }
    let text = directory.metadata.first { $0.key == HDF5Worker.descriptionKey }?.value ?? ""
    do throws(PlatformError) {
      if let description = KerasDescription(try JSONValue.parse(text)) { return (directory, description) }
    } catch {
      throw .keras(.readerUnbelievable(reason: error.description))
    }
    throw .keras(.readerUnbelievable(reason: "no description"))
  }
}

extension WeightFile.Entry {
  /// Bytes of its numbers, which the process's header was checked for.
  fileprivate var byteCount: Int { shape.count * elementType.size }
}

/// The tensors in the order in which `KerasFile` lists them: from the file where their numbers stand there as they are, else from the
/// process.
private final class KerasSource<File: ByteSource & ~Copyable>: TensorSource {
  private let served: WeightDirectory
  private let file: File
  /// Of each entry: its place in `served`, and in the file.
  private let places: [(index: Int, address: Int?)]

  init(served: WeightDirectory, file: consuming File, places: [(index: Int, address: Int?)]) {
    self.served = served
    self.file = file
    self.places = places
  }

  func tensor(at index: Int) throws(WeightFault) -> HostTensor {
    let (index, address) = places[index]
    guard let address else { return try served.source.tensor(at: index) }
    let entry = served.entries[index]
    return HostTensor(
      elementType: entry.elementType, shape: entry.shape,
      bytes: try file.bytes(at: address, count: entry.byteCount))
  }
}

/// A part of a file, as if it were one.
private struct FilePart: ByteSource, ~Copyable {
  let file: FileReader
  let range: Range<Int>

  var size: Int { range.count }

  borrowing func bytes(at offset: Int, count: Int) throws(WeightFault) -> [UInt8] {
    precondition(offset >= 0 && count >= 0 && offset <= size - count, "outside of the part")
    return try file.bytes(at: range.lowerBound + offset, count: count)
  }
}

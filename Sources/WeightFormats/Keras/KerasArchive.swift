import Platform

/// The `.keras` archive of Keras 3: a zip file of `metadata.json`, `config.json` (the network) and `model.weights.h5`.
enum KerasArchive {
  private static let weights = "model.weights.h5"
  private static let config = "config.json"
  private static let metadata = "metadata.json"
  /// Bytes of a JSON record at the most. The config of DenseNet-121 has 0.3 MB.
  private static let recordLimit = 16 << 20

  static func isOne(_ zip: ZipArchive) -> Bool {
    [config, metadata].allSatisfy { zip.size(of: $0) != nil }
      && zip.names.contains { $0 == weights || $0 == "model.weights.json" }
  }

  /// The weights, read where they stand in the archive; where they are deflated, from a file without a name that they are unpacked to.
  static func open(_ zip: ZipArchive) throws(WeightFault) -> WeightDirectory {
    guard zip.size(of: weights) != nil else { throw .format(.shardIndex) }
    let version = try record(metadata, of: zip)["keras_version"]?.string
    var layers: KerasLayerNames?
    func name(of group: String) throws(WeightFault) -> String? {
      if let layers { return layers.name(of: group) }
      let read = try KerasLayerNames(config: record(config, of: zip))
      layers = read
      return read.name(of: group)
    }
    var directory =
      if let range = zip.storedRange(of: weights) {
        try KerasFile.open(
          try zip.file(), range: range, meanwhile: { () throws(WeightFault) in try zip.check(weights) }, names: name)
      } else {
        try KerasFile.open(unpack(zip), names: name)
      }
    if let version, !directory.metadata.contains(where: { $0.key == "keras_version" }) {
      directory.metadata.append(("keras_version", version))
    }
    return directory
  }

  private static func unpack(_ zip: ZipArchive) throws(WeightFault) -> FileReader {
    var file: TemporaryFile
    do throws(PlatformError) { file = try TemporaryFile() } catch { throw .platform(error) }
    let isThere = try zip.forEachPiece(of: weights) { (piece) throws(WeightFault) in
      do throws(PlatformError) { try file.write(piece) } catch { throw .platform(error) }
    }
    precondition(isThere, "its size was asked for")
    do throws(PlatformError) { return try file.reader() } catch { throw .platform(error) }
  }

  private static func record(_ name: String, of zip: ZipArchive) throws(WeightFault) -> JSONValue {
    guard let size = zip.size(of: name), size <= recordLimit, let bytes = try zip.contents(of: name) else {
      throw .keras(.malformedRecord(name, reason: "over \(recordLimit) bytes"))
    }
    do throws(PlatformError) {
      return try JSONValue.parse(bytes)
    } catch {
      throw .keras(.malformedRecord(name, reason: error.description))
    }
  }
}

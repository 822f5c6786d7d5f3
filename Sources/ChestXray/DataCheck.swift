import Platform
import Tensors

/// What is wrong with the lists of a data set and the images that they name, all of it at once.
public struct DataCheck: Sendable {
  /// A list, as it was read.
  public struct List: Sendable {
    public let path: String
    public let table: LabelTable
    /// The images of the list that are there, by the list's names.
    public fileprivate(set) var found: [(name: String, path: String)] = []
    /// Images that are not there, or that several files could be.
    public fileprivate(set) var missing: [String] = []
    public fileprivate(set) var ambiguous: [String] = []

    /// How many patients are known; images of which no patient is known are none's.
    public var patients: Int { Set(table.samples.compactMap(\.patient)).count }
  }

  /// A file that no network can be shown.
  public struct BadImage: Sendable {
    public let path: String
    public let error: ChestXrayError
  }

  /// What two lists have in common: a network would be judged by what it has learned from.
  public struct Overlap: Sendable {
    public let first: String
    public let second: String
    public let images: [String]
    public let patients: [String]
  }

  public private(set) var lists: [List] = []
  /// In the order of the lists.
  public private(set) var badImages: [BadImage] = []
  /// Files of different names with the same bytes, in the order of the lists.
  public private(set) var copies: [[String]] = []
  public private(set) var overlaps: [Overlap] = []
  /// Files that were decoded.
  public private(set) var imageCount = 0

  /// Reads `lists`, with the labels of `labels` where that is given, and decodes every image that they name, found in `folder`, on the
  /// threads of `pool`, every checksum verified. `progress` is told now and then how many of how many are done.
  ///
  /// Errors: those of `LabelTable`, for a list that cannot be read; what is wrong with the images is no error but what was asked for.
  public init(
    lists paths: [String], labels: String?, folder: ImageFolder, pool: ThreadPool,
    progress: (_ done: Int, _ of: Int) -> Void = { _, _ in }
  ) throws(ChestXrayError) {
    for path in paths {
      // A list of names alone can be checked, too.
      var list = List(path: path, table: try LabelTable(unlabelled: path, labels: labels))
      for sample in list.table.samples {
        switch folder.find(sample.image) {
        case .one(let relative): list.found.append((sample.image, folder.full(relative)))
        case .none: list.missing.append(sample.image)
        case .several: list.ambiguous.append(sample.image)
        }
      }
      lists.append(list)
    }
    for (index, first) in lists.enumerated() {
      for second in lists[(index + 1)...] {
        if let overlap = Overlap(first, second) { overlaps.append(overlap) }
      }
    }
    try checkImages(pool, progress)
  }

  private mutating func checkImages(_ pool: ThreadPool, _ progress: (Int, Int) -> Void) throws(ChestXrayError) {
    var seen = Set<String>()
    let files = lists.flatMap(\.found).map(\.path).filter { seen.insert($0).inserted }
    imageCount = files.count
    var names: [String: [String]] = [:]
    var order: [String] = []
    let chunk = 64 * pool.threads
    for start in stride(from: 0, to: files.count, by: chunk) {
      let part = files[start..<min(files.count, start + chunk)]
      let results = pool.map(part.count) { Self.digest(ofImage: part[part.startIndex + $0]) }
      for (path, result) in zip(part, results) {
        switch result {
        case .success(let digest):
          if names[digest] == nil { order.append(digest) }
          names[digest, default: []].append(path)
        case .failure(let error): badImages.append(BadImage(path: path, error: error))
        }
      }
      progress(start + part.count, files.count)
    }
    copies = order.compactMap { digest in names[digest].flatMap { $0.count > 1 ? $0 : nil } }
  }

  /// Of the file's bytes; the error that decoding them gives.
  private static func digest(ofImage path: String) -> Result<String, ChestXrayError> {
    do throws(ChestXrayError) {
      let bytes = try Radiograph.bytes(of: path)
      _ = try Radiograph.decode(bytes, path: path)
      return .success(SHA256.hex(of: bytes))
    } catch {
      return .failure(error)
    }
  }

  /// How many things are wrong.
  public var faultCount: Int {
    lists.reduce(0) { $0 + $1.missing.count + $1.ambiguous.count } + badImages.count + copies.count
      + overlaps.reduce(0) { $0 + $1.images.count + $1.patients.count }
  }
}

extension DataCheck.Overlap {
  /// Nil where two lists share nothing.
  fileprivate init?(_ first: DataCheck.List, _ second: DataCheck.List) {
    func common(_ value: (Sample) -> String?) -> [String] {
      Set(first.table.samples.compactMap(value)).intersection(second.table.samples.compactMap(value)).sorted()
    }
    self.init(
      first: first.path, second: second.path, images: common { fileName(of: $0.image) }, patients: common(\.patient))
    if images.isEmpty && patients.isEmpty { return nil }
  }
}

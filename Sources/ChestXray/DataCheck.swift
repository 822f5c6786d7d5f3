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
    public var patients: Int { table.patientCount }

    fileprivate mutating func search(_ folder: ImageFolder) {
      for sample in table.samples {
        switch folder.find(sample.image) {
        case .one(let relative): found.append((sample.image, folder.full(relative)))
        case .none: missing.append(sample.image)
        case .several: ambiguous.append(sample.image)
        }
      }
    }
  }

  /// A file that no network can be shown.
  public struct BadImage: Sendable {
    public let path: String
    public let error: ChestXrayError
  }

  /// What two lists, by their places among the lists, have in common: a network would be judged by what it has learned from.
  public struct Shared: Sendable {
    public let first: Int
    public let second: Int
    public let overlap: ListOverlap
  }

  public private(set) var lists: [List] = []
  /// In the order of the lists.
  public private(set) var badImages: [BadImage] = []
  /// Files of different names that decode to the same gray pixels, in the order of the lists.
  public private(set) var copies: [[String]] = []
  public private(set) var overlaps: [Shared] = []
  /// Files that were decoded.
  public private(set) var imageCount = 0
  /// Whether a folder was given.
  public let looksForImages: Bool

  /// Reads `lists`, with the labels of `labels` where that is given, and decodes every image that they name, found in `folder`, on the
  /// threads of `pool`, every checksum verified; without a folder no image is looked for. `progress` is told now and then how many of how many are done.
  ///
  /// Errors: those of `LabelTable`, for a list that cannot be read; what is wrong with the images is no error but what was asked for.
  public init(
    lists paths: [String], labels: String?, folder: ImageFolder?, pool: ThreadPool,
    progress: (_ done: Int, _ of: Int) -> Void = { _, _ in }
  ) throws(ChestXrayError) {
    looksForImages = folder != nil
    for path in paths {
      // A list of names alone can be checked, too.
      var list = List(path: path, table: try LabelTable(unlabelled: path, labels: labels))
      if let folder { list.search(folder) }
      lists.append(list)
    }
    for first in lists.indices {
      for second in lists.indices.dropFirst(first + 1) {
        let overlap = ListOverlap(lists[first].table, lists[second].table)
        if !overlap.isEmpty { overlaps.append(Shared(first: first, second: second, overlap: overlap)) }
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

  /// Of the picture, whatever its file looks like: sides and pixels, of one channel where it is gray; the error that decoding it gives.
  private static func digest(ofImage path: String) -> Result<String, ChestXrayError> {
    do throws(ChestXrayError) {
      let image = try Radiograph.read(path).withoutEqualChannels
      var digest = MessageDigest(.sha256)
      Array("\(image.width) \(image.height) \(image.channels)\n".utf8).withUnsafeBytes { digest.update($0) }
      image.pixels.withUnsafeBytes { digest.update($0) }
      return .success(digest.finish())
    } catch {
      return .failure(error)
    }
  }

  /// How many things are wrong.
  public var faultCount: Int {
    lists.reduce(0) { $0 + $1.missing.count + $1.ambiguous.count } + badImages.count + copies.count
      + overlaps.reduce(0) { $0 + $1.overlap.images.count + $1.overlap.patients.count }
  }
}

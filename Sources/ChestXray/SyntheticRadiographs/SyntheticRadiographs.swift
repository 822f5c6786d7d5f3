import Foundation
import Platform

/// A made-up chest X-ray set in the layout of ChestX-ray14, whose findings a network can learn and localise.
///
/// Each image is a schematic chest with zero to six findings planted in it. A finding is a texture of its own (see
/// `SyntheticFinding`) in a square of under 1/16 of the image, at a random place, with a random phase: it averages to
/// zero, so that no pixel, thumbnail or brightness tells it, and a network has to look at the texture. The places lie
/// where a centre crop of 224 in 256 sees them whole. Nothing here resembles a disease.
///
/// The folder:
///
///     images/00000001_000.png …        8-bit gray, 1024 × 1024, not interlaced; patient and follow-up
///     train_list.txt                   70 %; a name and fourteen zeros or ones a line, as the 70/10/20 lists have them
///     val_list.txt, test_list.txt      10 % and 20 %; no patient is in two lists
///     official/train_val_list.txt      names only, as NIH's lists have them
///     official/test_list.txt
///     Data_Entry_2017.csv              NIH's table
///     BBox_List_2017.csv               a box for each planted finding; NIH's has boxes for eight of the labels only
///
/// The same seed and count give the same bytes, whatever the threads.
public struct SyntheticRadiographs: Sendable {
  /// How many images a set may have: each list needs one, and a patient's number has eight digits.
  public static let possibleImages = 10...100_000

  /// The seed of the demo.
  public static let defaultSeed: UInt64 = 14

  /// Pixels, both ways, of every image and of the boxes' coordinates.
  static let imageSide = 1024

  let plan: SyntheticPlan
  let seed: UInt64

  /// A set of `images` images, which must be in `possibleImages`.
  public init(images: Int = 1000, seed: UInt64 = defaultSeed) {
    self.plan = SyntheticPlan(images: images, seed: seed)
    self.seed = seed
  }

  /// Writes the set to the folder `directory`, which must not exist or be empty.
  ///
  /// `progress` is told how many images are written, now and then and from the caller's thread. The set is built in a
  /// folder beside `directory` and renamed when it is complete: on an error nothing is left.
  ///
  /// Errors: `platform`, with `exists` where `directory` is a file or has something in it, and with what the disk says.
  @discardableResult
  public func write(
    to directory: String, pool: ThreadPool, progress: (_ written: Int) -> Void = { _ in }
  ) throws(ChestXrayError) -> SyntheticSummary {
    do {
      let folder = try NewFolder(path: directory)
      try createFolder(folder.temporaryPath + "/images")
      try createFolder(folder.temporaryPath + "/official")
      let boxes = try writeImages(to: folder.temporaryPath + "/images/", pool: pool, progress: progress)
      for table in SyntheticTables(plan: plan, boxes: boxes).files {
        try AtomicFile.write(table.text, to: folder.temporaryPath + "/" + table.path, overwriting: false)
      }
      try folder.commit()
    } catch {
      throw .platform(error)
    }
    return SyntheticSummary(plan)
  }

  /// Writes every image, and returns the boxes of each.
  private func writeImages(
    to folder: String, pool: ThreadPool, progress: (Int) -> Void
  ) throws(PlatformError) -> [[SyntheticBox]] {
    var boxes: [[SyntheticBox]] = []
    // Images between two reports of progress: enough that threads seldom wait for each other.
    let batch = 40
    for first in stride(from: 0, to: plan.entries.count, by: batch) {
      let written = pool.map(min(batch, plan.entries.count - first)) { offset in
        Result { () throws(PlatformError) in try writeImage(first + offset, to: folder) }
      }
      for result in written { boxes.append(try result.get()) }
      progress(boxes.count)
    }
    return boxes
  }

  private func writeImage(_ index: Int, to folder: String) throws(PlatformError) -> [SyntheticBox] {
    let path = folder + plan.entries[index].name
    let (image, boxes) = radiograph(index)
    try AtomicFile.write(try PNGEncoder.encode(image, path: path), to: path, overwriting: false)
    return boxes
  }

  /// The image `index` (from 0), and where its findings are.
  func radiograph(_ index: Int) -> (image: Radiograph, boxes: [SyntheticBox]) {
    var random = CounterRandom(seed: seed, purpose: .syntheticRadiograph, epoch: 0, sample: index)
    let boxes = SyntheticBox.place(plan.entries[index].findings, &random)
    var film = SyntheticFilm(of: SyntheticThorax(&random))
    for box in boxes { film.plant(box, &random) }
    return (film.developed(&random), boxes)
  }
}

/// A folder that appears under its name complete, or not at all: `AtomicFile` for folders.
private struct NewFolder: ~Copyable {
  let path: String
  let temporaryPath: String
  private var isCommitted = false

  init(path: String) throws(PlatformError) {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    guard try Self.isFree(path) else { throw .exists(path: path) }
    let temporaryPath = path + ".tmp.\(getpid())"
    try createFolder(temporaryPath)
    self.path = path
    self.temporaryPath = temporaryPath
  }

  deinit {
    if isCommitted { return }
    do {
      try FileManager.default.removeItem(atPath: temporaryPath)
    } catch {
      // The error that brought us here says more than this one could.
    }
  }

  consuming func commit() throws(PlatformError) {
    // rename(2) puts a folder in the place of an empty one.
    guard rename(temporaryPath, path) == 0 else { throw .cannotCreate(path: path, errno: errno) }
    isCommitted = true
  }

  /// Whether nothing, or an empty folder, stands at `path`.
  private static func isFree(_ path: String) throws(PlatformError) -> Bool {
    var status = stat()
    if lstat(path, &status) != 0 { return true }
    if status.st_mode & S_IFMT != S_IFDIR { return false }
    do {
      return try FileManager.default.contentsOfDirectory(atPath: path).isEmpty
    } catch {
      throw .unreadable(path: path, errno: EACCES)
    }
  }
}

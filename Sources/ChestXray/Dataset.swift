import Platform
import Tensors

/// The images of a list, found in their folder, with labels in the order of a network's classes: what batches are made
/// of.
public struct Dataset: Sendable {
  public let table: LabelTable
  /// The network's classes.
  public let classes: [String]
  public let preparation: ImagePreparation
  /// One path for each sample.
  public let paths: [String]
  /// How the images are read.
  public var source = ImageSource()
  /// Whether a sample whose image cannot be read is left out; otherwise it is an error.
  public var skipsBadImages = false
  /// For each class, its column in the table.
  private let columns: [Int?]

  /// `classes`: the network's, matched to the table's findings by name; nil for the table's own. Labels of classes that
  /// the table does not have are unknown.
  ///
  /// Errors: those of `ImageFolder.resolve` and `ImagePreparation`.
  public init(
    table: LabelTable, folder: ImageFolder, classes: [String]? = nil, preprocessing: Preprocessing
  ) throws(ChestXrayError) {
    self.table = table
    self.classes = classes ?? table.findings
    preparation = try ImagePreparation(preprocessing)
    paths = try folder.resolve(table.samples.map(\.image))
    columns = table.columns(for: self.classes)
  }

  /// Images without labels, in this order: image files, folders of which every image is taken, and lists whose images are
  /// in `data` (nil: in the list's own folder). Which of them a file is, its content says.
  ///
  /// Errors: `platform` where nothing is there, `noImages` for an empty folder, those of `LabelTable` and of
  /// `ImageFolder.resolve` for a list, those of `ImagePreparation`.
  public init(images: [String], data: String? = nil, preprocessing: Preprocessing) throws(ChestXrayError) {
    var paths: [String] = []
    for path in images {
      if isFolder(path) {
        let folder = try ImageFolder(path: path)
        paths += try folder.images().map { path + (path.hasSuffix("/") ? "" : "/") + $0 }
      } else if try ListFile.isList(path: path) {
        let folder = path.contains("/") ? String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) : "."
        paths += try ImageFolder(path: data ?? (folder.isEmpty ? "/" : folder)).resolve(
          LabelTable.imageNames(list: path))
      } else {
        paths.append(path)
      }
    }
    table = LabelTable(
      findings: [],
      samples: paths.map {
        Sample(image: fileName(of: $0), labels: [], patient: patientDigits(ofImage: $0).flatMap(patientName))
      })
    classes = []
    preparation = try ImagePreparation(preprocessing)
    self.paths = paths
    columns = []
  }

  public var count: Int { table.samples.count }

  /// The classes that the table has no labels for.
  public var unlabelledClasses: [String] { zip(classes, columns).filter { $0.1 == nil }.map(\.0) }

  /// The label of each class for the sample at `index`.
  public func labels(of index: Int) -> [Label] {
    columns.map { column in column.map { table.samples[index].labels[$0] } ?? .unknown }
  }

  /// A view of a sample, as a network is given it.
  typealias Shown = (pixels: ImagePixels, view: ImageView)

  /// The sample at `index` as each of `preparations` shows it, in each of its views: seed, epoch and index decide. It is decoded once.
  ///
  /// Errors: those of `Radiograph.read`.
  func prepare(
    _ index: Int, by preparations: [ImagePreparation], augmentation: Augmentation, seed: UInt64, epoch: Int
  ) throws(ChestXrayError) -> [[Shown]] {
    if augmentation == .none, source.shortSide == nil, source.cache != nil {
      return try preparations.map { (preparation) throws(ChestXrayError) in
        let (prepared, view) = try source.prepared(at: paths[index], preparation)
        return [(prepared.pixels, view)]
      }
    }
    let radiograph = try source.radiograph(at: paths[index])
    return preparations.map { preparation in
      var random = CounterRandom(seed: seed, purpose: .augmentation, epoch: epoch, sample: index)
      let prepared =
        augmentation.viewCount > 1
        ? preparation.crops(of: radiograph, count: augmentation.viewCount)
        : [preparation.prepare(radiograph, augmentation: augmentation, random: &random)]
      return prepared.map {
        ($0.pixels, ImageView(width: radiograph.width, height: radiograph.height, window: $0.window))
      }
    }
  }
}

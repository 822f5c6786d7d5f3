import Platform
import Tensors

/// A list of ChestX-ray14 that others have reported on: AUROCs on one are not comparable with those on another.
///
/// Told by the file names, whatever their order and their folders (`Tools/reference/known_lists.py` makes the digests from the lists themselves).
public enum KnownList: String, CaseIterable, Sendable {
  /// Of the 70/10/20 lists (arnoweng/CheXNet, zoogzog/chexnet, taneishi/CheXNet).
  case train, validation, test
  /// NIH's `train_val_list.txt` and `test_list.txt`.
  case officialTraining, officialTest

  public var title: String {
    switch self {
    case .train: "the 70/10/20 training list"
    case .validation: "the 70/10/20 validation list"
    case .test: "the 70/10/20 test list"
    case .officialTraining: "NIH's train_val_list.txt"
    case .officialTest: "NIH's official test list"
    }
  }

  /// Whether networks are judged by it.
  public var isForTesting: Bool { self == .test || self == .officialTest }

  /// Nil where it is another list.
  public init?(_ table: LabelTable) {
    // A digest is made only of what can be one.
    guard let known = Self.allCases.first(where: { $0.count == table.samples.count }),
      known.names == digest(ofLines: table.samples.map { fileName(of: $0.image) })
    else { return nil }
    self = known
  }

  private var count: Int {
    switch self {
    case .train: 78_468
    case .validation: 11_219
    case .test: 22_433
    case .officialTraining: 86_524
    case .officialTest: 25_596
    }
  }

  /// SHA-256 of the sorted names, a line each.
  private var names: String {
    switch self {
    case .train: "2c164674c3c52ea0ef1a0161f44ed9f0b673b08a02fa4f68b06f75e91297dcdd"
    case .validation: "8afe946ed597d80246872d21e4d556539326e9b78d51d9e06815c82dea463f12"
    case .test: "bbe3774c320aeb699e89ffd8a7d9f4ce7d230b1c16f4c4b7e9a2862383b17ec2"
    case .officialTraining: "eb8e4beb07b2018a5a9f16ba088761c0311959623e46fc54c9c2abb3e3737e47"
    case .officialTest: "3d0c44b68d287fd04f90c4f25df13428bba7b3e729f65715d5cf73a88e83d226"
    }
  }
}

/// Which of NIH's two tables labels come from. They differ in 181 of the 112,120 images.
public enum LabelRelease: String, Sendable {
  /// `Data_Entry_2017.csv`, and the 70/10/20 lists' own.
  case first = "2017"
  /// `Data_Entry_2017_v2020.csv`.
  case second = "v2020"
  /// The two say the same of these images.
  case either = "2017 and v2020 alike"

  /// The release that all labels of one of the known lists, or of the whole data set, come from; nil where they come from neither, or it is
  /// another list.
  public init?(_ table: LabelTable) {
    guard table.samples.count > 10_000, table.findings == Finding.allCases.map(\.name) else { return nil }
    let lines = table.samples.map { sample in
      fileName(of: sample.image) + " "
        + sample.labels.map { $0 == .positive ? "1" : $0 == .negative ? "0" : "?" }.joined(separator: " ")
    }
    guard let release = Self.digests[digest(ofLines: lines)] else { return nil }
    self = release
  }

  /// SHA-256 of the sorted lines of a name and fourteen labels: train, validation and test of 70/10/20, train_val and test of NIH's, all.
  private static let digests: [String: LabelRelease] = [
    "1a31e70e6a3f1040636cc554adfc269614b6655dfee99a959809446d30672c8f": .first,
    "cd5034b461f318cab795ed028b76ce34deefe5ced0ad0cc4f80e1d5928aadd41": .first,
    "e2f7ed4b6309dbece1d1da6d65bff7cc58e37d3c2f64b67c046e837c5da66342": .first,
    "77df351a2b9c90b5d938b1ce2af848eb1f4d8757e41fbee3b8324c911ab72b37": .first,
    "2e24079bd64ed482d4560dea9782fc70fa429232940117768b3512018b0f37ff": .first,
    "6bad004d85023e3db6047d5c61fde22c76d52030b911c872858e502f7ead3fae": .either,
    "eddc6a2c8e614b836778f1a21f72f5130f417ec42a85b7f53c80f15aa2b193ff": .second,
    "30cc1beb636e0a53ddb7f83f8c5f352917a25251c4253ff03fc4a0f24916fcf3": .second,
    "3e8a25d48f4dcbfcadfa6eab88424655833189d153ed5e47fc41b52df89df963": .second,
    "7fa6a1865c16b416ed0cd96954fbbb3945f8ea20c39c22521e068859cda4c7cf": .second,
    "2dbd66da735a0f4250c774e35b16cbd06786757191e6950cb249a237a87d0d70": .second,
  ]
}

private func digest(ofLines lines: [String]) -> String {
  SHA256.hex(of: lines.map { Array(($0 + "\n").utf8) }.sorted { $0.lexicographicallyPrecedes($1) }.flatMap(\.self))
}

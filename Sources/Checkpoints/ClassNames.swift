/// The sets of classes that have a name, and how `--classes` is read.
public enum ClassNames {
  /// The 14 findings of ChestX-ray14, in the order of the CheXNet checkpoints (arnoweng, zoogzog, brucechou).
  public static let chestXray14 = [
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
  ]

  /// The 18 outputs of torchxrayvision's networks, in their order (`torchxrayvision.datasets.default_pathologies`).
  public static let torchXRayVision = [
    "Atelectasis", "Consolidation", "Infiltration", "Pneumothorax", "Edema", "Emphysema", "Fibrosis", "Effusion",
    "Pneumonia", "Pleural_Thickening", "Cardiomegaly", "Nodule", "Mass", "Hernia", "Lung Lesion", "Fracture",
    "Lung Opacity", "Enlarged Cardiomediastinum",
  ]

  /// `imagenet_0` … `imagenet_999`: numbers, for no one trains chest findings by the names of ImageNet.
  public static let imageNet = (0..<1000).map { "imagenet_\($0)" }

  private static let named = ["chestxray14": chestXray14, "xrv": torchXRayVision, "imagenet": imageNet]

  /// The classes that a network of `outputs` outputs has when nothing else is said.
  public static func standard(outputs: Int) -> [String] {
    switch outputs {
    case 14: chestXray14
    case 18: torchXRayVision
    case 1000: imageNet
    default: (0..<outputs).map { "class_\($0)" }
    }
  }

  /// The classes that `text` says: the name of a set, a number, or names with commas between or behind them.
  ///
  /// Throws `unknownClasses` where it says none, with the nearest name of a set where there is one.
  public static func parse(_ text: String) throws(CheckpointError) -> [String] {
    if let classes = named[text.lowercased()] { return classes }
    if let count = Int(text), (1...100_000).contains(count) { return standard(outputs: count) }
    guard text.contains(",") else {
      let near = named.keys.sorted().first { $0.hasPrefix(text.lowercased().prefix(4)) }
      throw .unknownClasses(text, suggestion: near.map { "did you mean \($0)?" })
    }
    var names = text.split(separator: ",", omittingEmptySubsequences: false).map {
      String($0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
    if names.last == "" { names.removeLast() }
    guard !names.isEmpty, !names.contains(""), Set(names).count == names.count else {
      throw .unknownClasses(text, suggestion: "each name once, none empty")
    }
    return names
  }
}

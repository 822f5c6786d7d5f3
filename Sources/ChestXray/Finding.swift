import Platform

/// The fourteen findings of ChestX-ray14 (Wang et al., CVPR 2017), in the order in which the 70/10/20 lists and the
/// published networks have them.
public enum Finding: String, CaseIterable, Sendable {
  case atelectasis = "Atelectasis"
  case cardiomegaly = "Cardiomegaly"
  case effusion = "Effusion"
  case infiltration = "Infiltration"
  case mass = "Mass"
  case nodule = "Nodule"
  case pneumonia = "Pneumonia"
  case pneumothorax = "Pneumothorax"
  case consolidation = "Consolidation"
  case edema = "Edema"
  case emphysema = "Emphysema"
  case fibrosis = "Fibrosis"
  case pleuralThickening = "Pleural_Thickening"
  case hernia = "Hernia"

  /// The name in `Data_Entry_2017.csv`: `Pleural_Thickening`.
  public var name: String { rawValue }

  /// The finding that `text` names, whatever its case and its separators; nil where it names none.
  ///
  /// `BBox_List_2017.csv` says `Infiltrate`; papers say `Pleural Thickening` and `PT`.
  public init?(named text: String) {
    guard let finding = Finding.byKey[nameKey(text)] else { return nil }
    self = finding
  }

  /// The finding that `text`, which names none, was probably meant to name: the nearest by edit distance, at most a
  /// third of its letters away; nil where none is near.
  public static func nearest(to text: String) -> Finding? {
    nearestName(to: text, among: allCases.map(\.name)).flatMap { Finding(named: $0) }
  }

  private static let byKey: [String: Finding] = {
    var findings: [String: Finding] = ["infiltrate": .infiltration, "pt": .pleuralThickening]
    for finding in allCases { findings[nameKey(finding.name)] = finding }
    return findings
  }()
}

/// The name under which classes of tables and checkpoints are matched: the finding's own name where `name` names one in
/// any spelling, else `name` itself.
public func canonicalClassName(_ name: String) -> String { Finding(named: name)?.name ?? name }

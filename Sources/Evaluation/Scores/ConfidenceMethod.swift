/// How the interval around an AUROC is found. The names are those of `--confidence`.
public enum ConfidenceMethod: String, CaseIterable, Sendable {
  /// From the variance that patients show (`PlacementValues`), on the logit scale.
  case delong
  /// By drawing patients again (`ClusterBootstrap`).
  case bootstrap
  /// As `delong`, but as if every image were of another patient.
  case delongImages = "delong-images"
  case none

  /// A line below a table; nil for none.
  func explanation(images: Int, patients: Int) -> String? {
    switch self {
    case .none: nil
    case .delong: "intervals: DeLong's, by patient (\(patients) with \(images) images), on the logit scale"
    case .delongImages: "intervals: DeLong's, as if the \(images) images were of as many patients, on the logit scale"
    case .bootstrap:
      "intervals: bootstrap, \(ClusterBootstrap.defaultReplicates) times the \(patients) patients with their \(images) images"
    }
  }
}

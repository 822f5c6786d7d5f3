/// What is known of a finding in an image.
public enum Label: UInt8, Sendable {
  case negative = 0
  case positive = 1
  /// Masked in loss and scores.
  case unknown = 2
}

/// A published weight file, recognised by its digest.
public struct KnownFile: Equatable, Sendable {
  /// The name that it is published under.
  public var name: String
  /// What it is, in a few words.
  public var description: String
  var digest: Digest

  enum Digest: Equatable {
    case sha256(String)
    /// The first eight digits, which torchvision puts into its files' names and which torch.hub checks.
    case sha256Prefix(String)
    case md5(String)
  }

  private init(_ name: String, _ description: String, _ digest: Digest) {
    self.name = name
    self.description = description
    self.digest = digest
  }

  static func find(sha256: String, md5: String?) -> KnownFile? {
    all.first { known in
      switch known.digest {
      case .sha256(let digest): digest == sha256
      case .sha256Prefix(let prefix): sha256.hasPrefix(prefix)
      case .md5(let digest): digest == md5
      }
    }
  }

  /// torchvision/models/densenet.py and keras/src/applications/densenet.py name these digests.
  static let all: [KnownFile] = [
    KnownFile(
      "densenet121-a639ec97.pth", "torchvision, ImageNet",
      .sha256("a639ec97d7c33b07ae66f0b5fb7d0192f95a3b11b7576c66c0126c2a727c4395")),
    KnownFile("densenet161-8d451a50.pth", "torchvision, ImageNet", .sha256Prefix("8d451a50")),
    KnownFile("densenet169-b2777c0a.pth", "torchvision, ImageNet", .sha256Prefix("b2777c0a")),
    KnownFile("densenet201-c1103571.pth", "torchvision, ImageNet", .sha256Prefix("c1103571")),
    keras("densenet121_weights_tf_dim_ordering_tf_kernels.h5", "9d60b8095a5708f2dcce2bca79d332c7"),
    keras("densenet169_weights_tf_dim_ordering_tf_kernels.h5", "d699b8f76981ab1b30698df4c175e90b"),
    keras("densenet201_weights_tf_dim_ordering_tf_kernels.h5", "1ceb130c1ea1b78c3bf6114dbdfd8807"),
    keras("densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5", "30ee3e1110167f948a6b9946edeeb738"),
    keras("densenet169_weights_tf_dim_ordering_tf_kernels_notop.h5", "b8c4d4c20dd625c148057b9ff1c1176b"),
    keras("densenet201_weights_tf_dim_ordering_tf_kernels_notop.h5", "c13680b51ded0fb44dff2d8f86ac8bb1"),
    keras("densenet121_weights_tf_dim_ordering_tf_kernels.h5 (v0.8)", "0962ca643bae20f9b6771cb844dca3b0"),
    keras("densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5 (v0.8)", "4912a53fbd2a69346e7f2c0b5ec8c6d3"),
  ]

  private static func keras(_ name: String, _ md5: String) -> KnownFile {
    KnownFile(name, "keras-applications, ImageNet", .md5(md5))
  }
}

extension KnownFile {
  /// A warning where a file is named as torch.hub's files are, by the first digits of its SHA-256, and has another one.
  static func warning(name: String, sha256: String) -> String? {
    guard let match = name.wholeMatch(of: /.*-([0-9a-f]{8,64})\.(pth|pt|safetensors|tar)/) else { return nil }
    let promised = String(match.output.1)
    return sha256.hasPrefix(promised)
      ? nil : "the name promises a SHA-256 that begins with \(promised): the file was changed, or is damaged"
  }
}

import Engine

/// What keras-applications calls the layers of a DenseNet: in its first years (`conv1/conv`, `fc1000`), and in Keras 3
/// (`conv1_conv`, `predictions`).
enum KerasNames {
  /// Each kind of layer, by its names in Keras 3 and in torchvision, cut where numbers stand. The first number counts blocks:
  /// Keras begins with 2, for the stem is its `conv1`.
  private static let kinds: [(keras: [String], torchvision: [String])] = [
    (["conv1_conv"], ["features.conv0"]),
    (["conv1_bn"], ["features.norm0"]),
    (["conv", "_block", "_0_bn"], ["features.denseblock", ".denselayer", ".norm1"]),
    (["conv", "_block", "_1_conv"], ["features.denseblock", ".denselayer", ".conv1"]),
    (["conv", "_block", "_1_bn"], ["features.denseblock", ".denselayer", ".norm2"]),
    (["conv", "_block", "_2_conv"], ["features.denseblock", ".denselayer", ".conv2"]),
    (["pool", "_bn"], ["features.transition", ".norm"]),
    (["pool", "_conv"], ["features.transition", ".conv"]),
    (["bn"], ["features.norm5"]),
    (["predictions"], ["classifier"]),
  ]

  private static let oldNames = ["conv1/conv": "conv1_conv", "conv1/bn": "conv1_bn", "fc1000": "predictions"]

  /// torchvision's module for a layer of keras-applications.
  static func module(of layer: String) -> String? {
    let layer = oldNames[layer] ?? layer
    for kind in kinds {
      guard var numbers = numbers(in: layer, between: kind.keras) else { continue }
      if !numbers.isEmpty { numbers[0] -= 1 }
      return name(of: kind.torchvision, numbers)
    }
    return nil
  }

  /// The layer of Keras 3 for a module of torchvision.
  static func layer(of module: String) -> String? {
    for kind in kinds {
      guard var numbers = numbers(in: module, between: kind.torchvision) else { continue }
      if !numbers.isEmpty { numbers[0] += 1 }
      return name(of: kind.keras, numbers)
    }
    return nil
  }

  /// What Keras calls a parameter inside its layer.
  static func weight(of role: Parameter.Role) -> String {
    switch role {
    case .convolutionWeight, .classifierWeight: "kernel"
    case .classifierBias: "bias"
    case .normalizationScale: "gamma"
    case .normalizationShift: "beta"
    case .runningMean: "moving_mean"
    case .runningVariance: "moving_variance"
    }
  }

  private static func name(of pieces: [String], _ numbers: [Int]) -> String {
    zip(pieces, numbers.map(String.init) + [""]).map { $0 + $1 }.joined()
  }

  /// The numbers, each from 1 to 1000, that stand between the pieces of a name; nil where it is not made of them.
  private static func numbers(in name: String, between pieces: [String]) -> [Int]? {
    guard name.hasPrefix(pieces[0]) else { return nil }
    // By bytes: every layer of a file is compared with every kind.
    var rest = name.utf8.dropFirst(pieces[0].utf8.count)
    var numbers: [Int] = []
    for piece in pieces.dropFirst() {
      let digits = rest.prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
      rest = rest.dropFirst(digits.count)
      guard let number = Int(Substring(digits)), (1...1000).contains(number), rest.starts(with: piece.utf8) else {
        return nil
      }
      numbers.append(number)
      rest = rest.dropFirst(piece.utf8.count)
    }
    return rest.isEmpty ? numbers : nil
  }
}

import WeightFormats

/// The layers of a Keras 3 file that does not name them, by their order: `conv2d`, `conv2d_1`, … and `batch_normalization`,
/// `batch_normalization_1`, … count each kind of layer in the order of the model.
///
/// A DenseNet's order is unambiguous: its first convolution, then for each dense layer a 1×1 and a 3×3, and a 1×1 that no 3×3
/// follows is a transition's.
struct KerasOrder {
  /// torchvision's module, by the path of a layer's group.
  private let modules: [String: String]

  /// Nil where the file has names, or layers in numbers that no DenseNet has.
  init?(_ file: WeightFile) {
    guard file.format == .keras3, !file.entries.contains(where: { $0.layer.flatMap(KerasNames.module) != nil }) else {
      return nil
    }
    var convolutions: [(layer: String, number: Int, side: Int)] = []
    var norms: [(layer: String, number: Int)] = []
    for entry in file.entries where entry.place == 0 {
      guard let layer = entry.layer else { continue }
      if let number = Self.number(of: layer, kind: "conv2d"), entry.shape.rank == 4 {
        convolutions.append((layer, number, entry.shape[0]))
      } else if let number = Self.number(of: layer, kind: "batch_normalization") {
        norms.append((layer, number))
      }
    }
    convolutions.sort { $0.number < $1.number }
    norms.sort { $0.number < $1.number }
    guard let convolutionModules = Self.convolutionModules(sides: convolutions.map(\.side)) else { return nil }
    // Each convolution but the first has the norm in front of it; the first has one behind it, and the last norm stands alone.
    let normModules = ["features.norm0"] + convolutionModules.dropFirst().map(Self.normModule) + ["features.norm5"]
    guard normModules.count == norms.count else { return nil }
    modules = Dictionary(
      zip(convolutions.map(\.layer) + norms.map(\.layer), convolutionModules + normModules)
    ) { first, _ in first }
  }

  /// `….norm1` of `….conv1`, `….norm` of `….conv`.
  private static func normModule(of convolution: String) -> String {
    let parts = convolution.split(separator: ".")
    return (parts.dropLast() + ["norm" + (parts.last ?? "").dropFirst("conv".count)]).joined(separator: ".")
  }

  func module(of entry: WeightFile.Entry) -> String? { entry.layer.flatMap { modules[$0] } }

  /// 3 of `layers/functional/layers/conv2d_3`, 0 of `layers/conv2d`.
  private static func number(of layer: String, kind: String) -> Int? {
    let name = layer.split(separator: "/").last ?? ""
    if name == kind { return 0 }
    guard name.hasPrefix(kind + "_") else { return nil }
    return Int(name.dropFirst(kind.count + 1)).flatMap { $0 > 0 ? $0 : nil }
  }

  private static func convolutionModules(sides: [Int]) -> [String]? {
    guard sides.first == 7 else { return nil }
    var modules = ["features.conv0"]
    var (block, layer, index) = (1, 1, 1)
    while index < sides.count {
      guard sides[index] == 1 else { return nil }
      if index + 1 < sides.count, sides[index + 1] == 3 {
        let name = "features.denseblock\(block).denselayer\(layer)"
        modules += [name + ".conv1", name + ".conv2"]
        (layer, index) = (layer + 1, index + 2)
      } else {
        modules.append("features.transition\(block).conv")
        (block, layer, index) = (block + 1, 1, index + 1)
      }
    }
    return modules
  }
}

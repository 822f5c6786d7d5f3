/// What keras-applications calls the layers of a DenseNet: in its first years (`conv1/conv`, `fc1000`), and in Keras 3
/// (`conv1_conv`, `predictions`).
enum KerasNames {
  /// torchvision's module for a layer of keras-applications.
  static func module(of layer: String) -> String? {
    switch layer {
    case "conv1/conv", "conv1_conv": return "features.conv0"
    case "conv1/bn", "conv1_bn": return "features.norm0"
    case "bn": return "features.norm5"
    case "fc1000", "predictions": return "classifier"
    default: break
    }
    let parts = layer.split(separator: "_", omittingEmptySubsequences: false)
    // conv2_block1_0_bn; the stem is conv1, so blocks count from 2.
    if parts.count == 4, let block = number(parts[0], after: "conv"), let layer = number(parts[1], after: "block") {
      let name = "features.denseblock\(block - 1).denselayer\(layer)"
      switch (parts[2], parts[3]) {
      case ("0", "bn"): return name + ".norm1"
      case ("1", "conv"): return name + ".conv1"
      case ("1", "bn"): return name + ".norm2"
      case ("2", "conv"): return name + ".conv2"
      default: return nil
      }
    }
    if parts.count == 2, let block = number(parts[0], after: "pool") {
      switch parts[1] {
      case "bn": return "features.transition\(block - 1).norm"
      case "conv": return "features.transition\(block - 1).conv"
      default: return nil
      }
    }
    return nil
  }

  private static func number(_ text: Substring, after prefix: String) -> Int? {
    guard text.hasPrefix(prefix), let number = Int(text.dropFirst(prefix.count)), (1...1000).contains(number) else {
      return nil
    }
    return number
  }
}

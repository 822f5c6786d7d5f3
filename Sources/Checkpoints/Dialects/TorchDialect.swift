import Tensors
import WeightFormats

/// The names that PyTorch programs give to a DenseNet's tensors.
///
/// torchvision's own, new (`denselayer1.norm1`), which are timm's and torchxrayvision's too, and old (`denselayer1.norm.1`,
/// before 0.3, and in its published files); MONAI's (`denselayer1.layers.norm1`, `class_layers.out`); each behind the
/// dictionaries of a training program and the modules that wrap the network (`state_dict.module.densenet121.`).
enum TorchDialect {
  /// Dictionaries in which training programs keep the weights.
  private static let containers = ["state_dict.", "model_state_dict.", "model_state.", "model."]

  /// Modules that wrap a network, in the order in which they are looked for.
  private static let wrappers = [
    "module.", "_orig_mod.", "model.", "net.", "backbone.", "densenet121.", "densenet161.", "densenet169.",
    "densenet201.", "densenet.", "student.", "teacher.",
  ]

  private static let heads = ["classifier", "classifier.0", "classifier.1", "fc", "head", "class_layers.out"]

  /// What stands beside the weights in a training program's file.
  private static let trainingState: Set<String> = [
    "optimizer", "optimizer_state", "optimizer_state_dict", "optim", "optim_dict", "scheduler", "lr_scheduler",
    "scheduler_state_dict", "scaler", "amp", "rng_state",
  ]

  private static let stem = "features.conv0.weight"

  static func translate(_ file: WeightFile) throws(CheckpointError) -> Translation {
    let prefix = try prefix(of: file)
    let pieces = try pieces(of: prefix, file.path)
    // A head may stand beside the wrapped network, not in it.
    let parents = pieces.indices.map { pieces[..<$0].joined() }
    var forms: Set<String> = []
    var meanings = file.entries.map { entry in
      meaning(of: entry.name, prefix: prefix, parents: parents, forms: &forms)
    }
    if isPermuted(file, meanings) {
      forms.insert("convolutions as [R, S, C, K], as the reference implementation saved them on Gaudis in 2022")
      for index in meanings.indices where file.entries[index].shape.rank == 4 {
        if case .parameter(let name, _) = meanings[index] {
          meanings[index] = .parameter(name, .heightWidthInputOutput)
        }
      }
    }
    let isXRV = isTorchXRayVision(file, meanings)
    if isXRV { forms.insert("torchxrayvision's network") }
    return Translation(
      dialect: "PyTorch, " + (forms.isEmpty ? "torchvision's names" : forms.sorted().joined(separator: ", ")),
      prefix: pieces, meanings: meanings, batchNormEpsilon: 1e-5, batchNormMomentum: 0.1, hasFinalReLU: true,
      preprocessing: isXRV ? .torchXRayVision() : nil, notes: [])
  }

  /// Whether convolutions stand as [R, S, C, K]: the first one's 7 × 7 come first.
  private static func isPermuted(_ file: WeightFile, _ meanings: [Translation.Meaning]) -> Bool {
    guard let index = meanings.firstIndex(of: .parameter(stem, .standard)) else { return false }
    let shape = file.entries[index].shape
    return shape.rank == 4 && shape[0] == 7 && shape[1] == 7 && !(shape[2] == 7 && shape[3] == 7)
  }

  /// torchxrayvision's networks take one channel, and have 18 outputs or, on them, operating points.
  private static func isTorchXRayVision(_ file: WeightFile, _ meanings: [Translation.Meaning]) -> Bool {
    guard let index = meanings.firstIndex(of: .parameter(stem, .standard)), file.entries[index].shape.rank == 4,
      file.entries[index].shape[1] == 1
    else { return false }
    if file.globals.contains(where: { $0.name.hasPrefix("torchxrayvision.") }) { return true }
    if meanings.contains(.notUsed(reason: operatingPoints)) { return true }
    let head = meanings.firstIndex(of: .parameter("classifier.weight", .standard))
    return head.map { file.entries[$0].shape.extents.first } == ClassNames.torchXRayVision.count
  }

  private static let operatingPoints = "operating points, which shift probabilities and rank alike"

  /// What stands in front of the one first convolution.
  private static func prefix(of file: WeightFile) throws(CheckpointError) -> String {
    let names = file.entries.map(\.name)
    let prefixes = names.filter { $0.hasSuffix(stem) && !isTrainingState($0) }.map { String($0.dropLast(stem.count)) }
      .filter { $0.isEmpty || $0.hasSuffix(".") }
    guard let prefix = prefixes.first else { throw .noDenseNet(path: file.path, examples: names) }
    guard prefixes.count == 1 else { throw .severalNetworks(path: file.path, prefixes: prefixes) }
    return prefix
  }

  private static func isTrainingState(_ name: String) -> Bool {
    trainingState.contains(String(name.prefix { $0 != "." }))
  }

  /// The prefix, cut into its known pieces.
  private static func pieces(of prefix: String, _ path: String) throws(CheckpointError) -> [String] {
    var pieces: [String] = []
    var rest = Substring(prefix)
    while !rest.isEmpty {
      let known = pieces.isEmpty ? containers + wrappers : wrappers
      guard let piece = known.first(where: { rest.hasPrefix($0) }) else {
        throw .unknownPrefix(path: path, prefix: prefix)
      }
      pieces.append(piece)
      rest = rest.dropFirst(piece.count)
    }
    return pieces
  }

  private static func meaning(
    of name: String, prefix: String, parents: [String], forms: inout Set<String>
  ) -> Translation.Meaning {
    if isTrainingState(name) { return .notUsed(reason: "state of the optimizer or of the training program") }
    if name.hasPrefix(prefix) {
      let local = String(name.dropFirst(prefix.count))
      if local.hasSuffix(".num_batches_tracked") {
        return .notUsed(reason: "counter of batches, which is not needed")
      }
      if local == "op_threshs" { return .notUsed(reason: operatingPoints) }
      if local.hasPrefix("features.") { return .parameter(feature(local, &forms), .standard) }
      if let head = head(local) { return .parameter(head, .standard) }
    }
    for parent in parents where name.hasPrefix(parent) {
      if let head = head(String(name.dropFirst(parent.count))) { return .parameter(head, .standard) }
    }
    return .unknown
  }

  /// `classifier.0.weight` → `classifier.weight`
  private static func head(_ name: String) -> String? {
    for head in heads {
      if name == head + ".weight" { return "classifier.weight" }
      if name == head + ".bias" { return "classifier.bias" }
    }
    return nil
  }

  /// torchvision's new name of `features.…denselayer1.norm.1.weight` and `features.…denselayer1.layers.norm1.weight`.
  private static func feature(_ name: String, _ forms: inout Set<String>) -> String {
    var parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard parts.count > 4, parts[2].hasPrefix("denselayer") else { return name }
    if parts[3] == "layers" {
      parts.remove(at: 3)
      forms.insert("MONAI's names (layers.norm1)")
    }
    if parts.count > 5, parts[3] == "norm" || parts[3] == "conv", parts[4] == "1" || parts[4] == "2" {
      parts[3] += parts.remove(at: 4)
      forms.insert("torchvision's old names (norm.1)")
    }
    return parts.joined(separator: ".")
  }
}

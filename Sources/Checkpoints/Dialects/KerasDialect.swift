import WeightFormats

/// The names of keras-applications' DenseNet: of its first years (`conv1/conv`, `fc1000`) and of Keras 3 (`conv1_conv`,
/// `predictions`), alone or inside another model; and Keras 3's files without names, by the order of layers.
///
/// A layer's own name says what it is, and the place of a weight in it which of its weights: so Keras itself loads them, and
/// the files of keras-applications' first release name weights wrongly. Weights' names are believed only where the layer is a
/// whole model, which lists all trained weights before all others.
enum KerasDialect {
  static func translate(_ file: WeightFile, finalReLU: ImportOptions.FinalReLU) throws(CheckpointError) -> Translation {
    let ordered = KerasOrder(file)
    let places = places(of: file.entries, ordered)
    var meanings = zip(file.entries, places).map(meaning)
    let headLayer = adoptHead(file.entries, &meanings)
    guard meanings.contains(.parameter("features.conv0.weight", .heightWidthInputOutput)) else {
      throw .noDenseNet(path: file.path, examples: file.entries.map(\.name))
    }
    let isOld = zip(file.entries, places).contains { $0.layer == "conv1/conv" || $1.isIn("conv1", "conv") }
    let (hasFinalReLU, note) = self.finalReLU(finalReLU, version: file.metadata("keras_version"), headLayer: headLayer)
    let isNested = zip(file.entries, places).contains { $0.layer != nil && !$1.isOwnLayer && $1.module != nil }
    var dialect = "Keras, " + (isOld ? "names of keras-applications (conv1/conv)" : "names of Keras 3 (conv1_conv)")
    if ordered != nil {
      dialect = "Keras 3, without names: layers by their order"
    } else if isNested {
      dialect += ", inside another model"
    }
    let misnamed = zip(file.entries, meanings).count { isMisnamed($0, $1) }
    return Translation(
      dialect: dialect, prefix: [], meanings: meanings,
      // keras-applications' BatchNormalization(epsilon=1.001e-5); Keras' momentum 0.99 is PyTorch's 0.01.
      batchNormEpsilon: 1.001e-5, batchNormMomentum: 0.01, hasFinalReLU: hasFinalReLU,
      notes: [note]
        + (misnamed == 0
          ? [] : ["\(misnamed) weights' names contradict their order in the layer: taken by order, as Keras does"]))
  }

  // MARK: - Names

  /// Where a weight stands.
  private struct Place {
    /// The parts of its name, between slashes.
    let path: [Substring]
    /// torchvision's module.
    var module: String?
    /// Whether the layer that it is listed under has the module's name, and not the name of a model around it.
    var isOwnLayer = false

    /// Whether these groups stand one in the other on its path, inside of another.
    func isIn(_ groups: String...) -> Bool {
      path.count > groups.count + 1
        && (1..<path.count - groups.count).contains { path[$0...].starts(with: groups, by: ==) }
    }
  }

  private static func places(of entries: [WeightFile.Entry], _ ordered: KerasOrder?) -> [Place] {
    // A layer has up to four weights, which need not all be compared with all names.
    var modules: [String: String] = [:]
    var strangers = Set<String>()
    return entries.map { entry in
      var place = Place(path: entry.name.split(separator: "/"))
      if let layer = entry.layer {
        if modules[layer] == nil, !strangers.contains(layer) {
          modules[layer] = KerasNames.module(of: layer)
          if modules[layer] == nil { strangers.insert(layer) }
        }
        place.isOwnLayer = modules[layer] != nil
        place.module = ordered?.module(of: entry) ?? modules[layer] ?? innerModule(of: entry, in: layer)
      }
      return place
    }
  }

  private static func meaning(of entry: WeightFile.Entry, _ place: Place) -> Translation.Meaning {
    if place.path.count > 1, ["optimizer_weights", "optimizer"].contains(place.path[0]) {
      return .notUsed(reason: "state of the optimizer or of the training program")
    }
    if place.isIn("seed_generator") { return .notUsed(reason: "state of a random generator") }
    guard let module = place.module else { return .unknown }
    let weights = self.weights(of: module)
    if let number = entry.place, place.isOwnLayer || Int(lastPart(of: entry)) != nil {
      return weights.indices.contains(number) ? parameter(weights[number], of: module) ?? .unknown : .unknown
    }
    return parameter(lastPart(of: entry), of: module) ?? .unknown
  }

  /// Keras' names for a layer's weights, in its order: those that are trained first (`Layer.weights`).
  private static func weights(of module: String) -> [String] {
    if module == "classifier" { return ["kernel", "bias"] }
    return module.utf8.lastIndex(of: UInt8(ascii: ".")).map { module[$0...].hasPrefix(".norm") } ?? false
      ? ["gamma", "beta", "moving_mean", "moving_variance"] : ["kernel"]
  }

  private static func isMisnamed(_ entry: WeightFile.Entry, _ meaning: Translation.Meaning) -> Bool {
    guard case .parameter(let name, _) = meaning, let module = name.lastIndex(of: ".").map({ String(name[..<$0]) }),
      case .parameter(let named, _) = parameter(lastPart(of: entry), of: module)
    else { return false }
    return named != name
  }

  /// `gamma` of `conv1/bn/conv1/bn/gamma:0`
  private static func lastPart(of entry: WeightFile.Entry) -> String {
    let name = entry.name.utf8
    let start = name.lastIndex(of: UInt8(ascii: "/")).map { name.index(after: $0) } ?? name.startIndex
    return String(Substring(name[start...].prefix { $0 != UInt8(ascii: ":") }))
  }

  /// torchvision's module for an entry of a layer that is a whole model: by the longest end of the path inside.
  private static func innerModule(of entry: WeightFile.Entry, in layer: String) -> String? {
    guard entry.name.hasPrefix(layer + "/") else { return nil }
    var path = entry.name.dropFirst(layer.count + 1).split(separator: "/").dropLast()
    while !path.isEmpty {
      if let module = KerasNames.module(of: path.joined(separator: "/")) { return module }
      path = path.dropFirst()
    }
    return nil
  }

  private static func parameter(_ weight: String, of module: String) -> Translation.Meaning? {
    switch weight {
    case "kernel": .parameter(module + ".weight", module == "classifier" ? .inputOutput : .heightWidthInputOutput)
    case "gamma": .parameter(module + ".weight", .standard)
    case "beta", "bias": .parameter(module + ".bias", .standard)
    case "moving_mean": .parameter(module + ".running_mean", .standard)
    case "moving_variance": .parameter(module + ".running_var", .standard)
    default: nil
    }
  }

  // MARK: - Head

  /// Makes the one dense layer that has another name the classifier, where no layer has the classifier's name. Returns the
  /// name of the classifier's layer.
  private static func adoptHead(_ entries: [WeightFile.Entry], _ meanings: inout [Translation.Meaning]) -> String? {
    if let named = meanings.firstIndex(of: .parameter("classifier.weight", .inputOutput)) {
      return entries[named].layer
    }
    // Keras 3 numbers weights instead of naming them: 0 is the kernel.
    let kernels = entries.indices.filter {
      meanings[$0] == .unknown && entries[$0].shape.rank == 2 && ["kernel", "0"].contains(lastPart(of: entries[$0]))
    }
    guard kernels.count == 1, let kernel = kernels.first else { return nil }
    let folder = entries[kernel].name.prefix(
      upTo: entries[kernel].name.lastIndex(of: "/") ?? entries[kernel].name.startIndex)
    for index in entries.indices where meanings[index] == .unknown && entries[index].name.hasPrefix(folder + "/") {
      let names = ["0": "kernel", "1": "bias"]
      let part = lastPart(of: entries[index])
      meanings[index] = parameter(names[part] ?? part, of: "classifier") ?? .unknown
    }
    return entries[kernel].layer
  }

  // MARK: - Final ReLU

  /// Whether a ReLU follows the last batch norm, and why we think so: the file does not say.
  ///
  /// keras-applications has it since 1.0.6, which came with Keras 2.2.3; before, it was missing by mistake. The published
  /// ImageNet weights (`fc1000`, or without head) were trained with it whatever version saved them; weights that were trained
  /// in an older Keras were trained without.
  static func finalReLU(
    _ choice: ImportOptions.FinalReLU, version: String?, headLayer: String?
  ) -> (Bool, note: String) {
    switch choice {
    case .yes: return (true, "final ReLU as --final-relu yes says")
    case .no: return (false, "no final ReLU, as --final-relu no says")
    case .automatic: break
    }
    if headLayer == "fc1000" || headLayer == nil {
      return (true, "final ReLU: the published ImageNet weights were trained with it (--final-relu no says otherwise)")
    }
    let number = version?.split(separator: "-").first?.split(separator: ".").compactMap { Int($0) } ?? []
    if number.count >= 2, number.lexicographicallyPrecedes([2, 2, 3]) {
      return (
        false,
        "no final ReLU: saved by Keras \(version ?? ""), whose DenseNet has none (--final-relu yes says otherwise)"
      )
    }
    return (true, "final ReLU, as DenseNet has it since Keras 2.2.3 (--final-relu no says otherwise)")
  }
}

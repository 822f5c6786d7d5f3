import Engine
import Platform

/// What an export wrote, and how the file is opened.
///
///     exported densenet.safetensors (densenet121, 14 classes)
///       format        PyTorch zip archive, torchvision's names
///       tensors       727: 606 of the network, 121 × num_batches_tracked
///       weights       SHA-256 09ab…
///       opens with    network = torchvision.models.densenet121(num_classes=14); network.load_state_dict(…)
public struct ExportReport: Equatable, Sendable {
  /// The checkpoint's path.
  public var checkpoint: String
  /// The path of the file that was written.
  public var output: String
  public var options: ExportOptions
  public var metadata: CheckpointMetadata
  /// Tensors of the network.
  public var weightCount: Int
  /// Counters of batches, which PyTorch's batch norms have.
  public var counterCount: Int
  public var tensorDigest: String

  /// For people; ends with a line feed. `differences` are not in it.
  public var text: String {
    let network = metadata.architecture
    var lines = [
      "exported \(checkpoint.printable) (\(network.name), \(network.classCount) classes)",
      "  format        \(formatText)",
      "  tensors       "
        + (counterCount == 0
          ? "\(weightCount)"
          : "\(weightCount + counterCount): \(weightCount) of the network, \(counterCount) × num_batches_tracked"),
      "  weights       SHA-256 \(tensorDigest)",
    ]
    if let openingLine { lines.append("  opens with    \(openingLine)") }
    return lines.joined(separator: "\n") + "\n"
  }

  /// For machines.
  public var json: JSONValue {
    [
      "checkpoint": .string(checkpoint), "output": .string(output), "format": .string(options.format.rawValue),
      "names": .string(options.format == .keras ? "keras" : options.names.rawValue),
      "architecture": .string(metadata.architecture.name), "classes": JSONValue(metadata.classes),
      "tensors": JSONValue(weightCount + counterCount), "tensors_sha256": .string(tensorDigest),
      "opens_with": JSONValue(openingLine), "differences": JSONValue(differences),
    ]
  }

  private var formatText: String {
    let names =
      switch options.names {
      case .torchvision: "torchvision's names"
      case .chexnet: "the reference implementation's names"
      }
    switch options.format {
    case .torch: return "PyTorch zip archive, \(names)"
    case .safetensors: return "safetensors, \(names)"
    case .keras: return "Keras HDF5 (legacy), Keras' names" + (kerasClass == nil ? ", by its rule" : "")
    }
  }
}

// MARK: - The other side

extension ExportReport {
  /// One line of Python that builds the network and loads the file; nil where the other side has no such network.
  public var openingLine: String? {
    let network = metadata.architecture
    let path = JSONValue.string(output).text()
    switch options.format {
    case .keras:
      let size = max(32, metadata.preprocessing.imageSize)
      return kerasClass.map {
        "model = keras.applications.\($0)(weights=None, input_shape=(\(size), \(size), \(network.inputChannels)), "
          + "classes=\(network.classCount), classifier_activation=\"sigmoid\"); model.load_weights(\(path))"
      }
    case .torch: return pyTorchLine(loading: "torch.load(\(path), weights_only=True)")
    case .safetensors: return pyTorchLine(loading: "safetensors.torch.load_file(\(path))")
    }
  }

  private func pyTorchLine(loading state: String) -> String? {
    let network = metadata.architecture
    switch options.names {
    case .chexnet:
      return isOfReference ? "net = model.DenseNet121(14); net.load_state_dict(\(state))" : nil
    case .torchvision:
      let stem = network.initialFeatures
      let build =
        isNamed
        ? "torchvision.models.\(network.name)(num_classes=\(network.classCount))"
        : "torchvision.models.DenseNet(\(network.growthRate), \(tuple(network.blockSizes)), \(stem), "
          + "num_classes=\(network.classCount))"
      let oneChannel = "network.features.conv0 = torch.nn.Conv2d(1, \(stem), 7, 2, 3, bias=False); "
      return "network = \(build); " + (network.inputChannels == 1 ? oneChannel : "")
        + "network.load_state_dict(\(state))"
    }
  }

  /// As Python writes it: `(6, 12)`, `(6,)`.
  private func tuple(_ values: [Int]) -> String {
    "(" + values.map(String.init).joined(separator: ", ") + (values.count == 1 ? ",)" : ")")
  }

  private var isNamed: Bool {
    DenseNetArchitecture.named.contains { $0.name == metadata.architecture.name }
  }

  /// Whether it is the network of the reference implementation (its model.py, and what main.py builds).
  private var isOfReference: Bool {
    let network = metadata.architecture
    return network.name == "densenet121" && network.inputChannels == 3 && network.classCount == 14
  }

  /// `DenseNet121`, `DenseNet169`, `DenseNet201`: what keras.applications has.
  private var kerasClass: String? {
    let name = metadata.architecture.name
    return isNamed && name != "densenet161" ? "DenseNet" + name.dropFirst("densenet".count) : nil
  }

  /// What the network of the other side computes differently, though the weights are exact: a sentence each.
  public var differences: [String] {
    let network = metadata.architecture
    let isKeras = options.format == .keras
    let other =
      isKeras ? "Keras" : options.names == .chexnet ? "the reference implementation" : "torchvision"
    // keras.applications.densenet; torch.nn.BatchNorm2d, which torchvision does not change.
    let (epsilon, momentum) = isKeras ? (1.001e-5, 0.01) : (1e-5, 0.1)
    var differences: [String] = []
    if network.batchNormEpsilon != epsilon {
      differences.append(
        "batch norms have epsilon \(network.batchNormEpsilon) here and \(epsilon) in \(other): the weights are exact, "
          + "outputs differ unless it is set there")
    }
    if !network.hasFinalReLU {
      differences.append(
        "no ReLU follows the last batch norm here, one does in \(other): the weights are exact, outputs differ")
    }
    if network.batchNormMomentum != momentum {
      differences.append(
        isKeras
          ? "trained on, batch norms have momentum \(1 - momentum) in Keras and \(1 - network.batchNormMomentum) here, as "
            + "Keras counts it"
          : "trained on, batch norms have momentum \(momentum) in \(other) and \(network.batchNormMomentum) here")
    }
    if isKeras && kerasClass == nil {
      differences.append(
        "keras.applications has no \(network.name): the file's layers are named by the rule of those it has, and the "
          + "network there is yours to build")
    }
    if !isKeras && options.names == .chexnet && !isOfReference {
      differences.append(
        "the reference implementation has DenseNet-121 for 3 channels and 14 outputs alone: it does not load this network"
      )
    }
    return differences
  }
}

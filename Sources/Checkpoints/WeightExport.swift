import Engine
import Platform
import Tensors
import WeightFormats

/// What an export is asked for beyond the checkpoint.
public struct ExportOptions: Equatable, Sendable {
  public enum Format: String, Sendable, CaseIterable {
    /// The zip archive of `torch.save`.
    case torch
    /// The HDF5 file of Keras' `save_weights`, legacy in Keras 3.
    case keras
    /// safetensors, without what makes a checkpoint of ours out of it.
    case safetensors
  }

  public enum Names: String, Sendable, CaseIterable {
    /// torchvision's, which timm has too. A file for Keras has Keras' in their place.
    case torchvision
    /// The reference implementation's, whose network is torchvision's inside another module, its classifier inside a
    /// Sequential: what its `--model_path` loads, without the `module.` of DistributedDataParallel.
    case chexnet
  }

  public var format: Format
  public var names: Names

  /// `names` says nothing for a file for Keras.
  public init(format: Format, names: Names = .torchvision) {
    self.format = format
    self.names = names
  }
}

/// Writes checkpoints as the weight files of other tools, bit for bit.
public enum WeightExport {
  /// Writes the checkpoint at `path` to `output`: whole or not at all, and the same bytes each time.
  public static func run(
    path: String, options: ExportOptions, to output: String, overwriting: Bool
  ) throws(CheckpointError) -> ExportReport {
    let checkpoint = try Checkpoint.load(path: path)
    let plan = options.format == .keras ? kerasTensors(of: checkpoint) : torchTensors(of: checkpoint, options.names)
    do throws(PlatformError) {
      try write(plan, of: checkpoint, format: options.format, to: output, overwriting: overwriting)
    } catch {
      throw .platform(error)
    }
    return ExportReport(
      checkpoint: path, output: output, options: options, metadata: checkpoint.metadata,
      weightCount: plan.count { $0.parameter != nil }, counterCount: plan.count { $0.parameter == nil },
      tensorDigest: checkpoint.tensorDigest)
  }

  private static func write(
    _ plan: [PlannedTensor], of checkpoint: Checkpoint, format: ExportOptions.Format, to output: String,
    overwriting: Bool
  ) throws(PlatformError) {
    let weights = checkpoint.weights
    switch format {
    case .torch:
      try TorchWriter.write(plan.map(\.entry), to: output, overwriting: overwriting) { plan[$0].tensor(weights) }
    case .keras:
      try KerasWriter.write(plan.map(\.entry), metadata: kerasMetadata, to: output, overwriting: overwriting) {
        plan[$0].tensor(weights)
      }
    case .safetensors:
      // Wider elements first: the counters of batches are I64.
      let ordered = plan.filter { $0.parameter == nil } + plan.filter { $0.parameter != nil }
      var writer = try SafetensorsWriter(
        entries: ordered.map { ($0.entry.name, $0.entry.elementType, $0.entry.shape) },
        metadata: safetensorsMetadata(of: checkpoint.metadata), to: output, overwriting: overwriting)
      for tensor in ordered { try writer.append(tensor.tensor(weights).bytes) }
      try writer.commit()
    }
  }

  // MARK: - Tensors

  /// A tensor of the file to be written.
  private struct PlannedTensor {
    var entry: WeightFile.Entry
    /// What it holds; nil for a counter of batches.
    var parameter: Parameter?
    var order: TensorOrder

    func tensor(_ weights: Weights) -> HostTensor {
      guard let parameter else { return HostTensor([Int64(0)], shape: []) }
      return order.filed(HostTensor(weights[parameter], shape: parameter.shape))
    }
  }

  /// Every name of the network's `state_dict()`, in its order. The counters of batches (`num_batches_tracked`), which a
  /// checkpoint does not keep, are 0: loading needs none of them, but whoever compares the names finds them complete.
  private static func torchTensors(of checkpoint: Checkpoint, _ names: ExportOptions.Names) -> [PlannedTensor] {
    checkpoint.weights.layout.parameters.flatMap { parameter in
      let tensor = PlannedTensor(
        entry: WeightFile.Entry(
          name: name(of: parameter.name, names), elementType: .float32, shape: parameter.shape),
        parameter: parameter, order: .standard)
      guard parameter.role == .runningVariance else { return [tensor] }
      let counter = module(of: parameter) + ".num_batches_tracked"
      return [
        tensor,
        PlannedTensor(
          entry: WeightFile.Entry(name: name(of: counter, names), elementType: .int64, shape: []), parameter: nil,
          order: .standard),
      ]
    }
  }

  private static func name(of name: String, _ names: ExportOptions.Names) -> String {
    switch names {
    case .torchvision: name
    case .chexnet:
      "densenet121." + (name.hasPrefix("classifier.") ? "classifier.0." + name.dropFirst("classifier.".count) : name)
    }
  }

  /// torchvision's order of modules is that of Keras' layers, and its order inside of a module that of Keras' weights.
  private static func kerasTensors(of checkpoint: Checkpoint) -> [PlannedTensor] {
    checkpoint.weights.layout.parameters.map { parameter in
      guard let layer = KerasNames.layer(of: module(of: parameter)) else {
        preconditionFailure("\(parameter.name) is of no layer")
      }
      let order = order(of: parameter.role)
      // Keras 3's path of a variable, `conv1_conv/kernel`, inside of the layer's group.
      return PlannedTensor(
        entry: WeightFile.Entry(
          name: "\(layer)/\(layer)/\(KerasNames.weight(of: parameter.role))", elementType: .float32,
          shape: order.fileShape(parameter.shape), layer: layer),
        parameter: parameter, order: order)
    }
  }

  private static func order(of role: Parameter.Role) -> TensorOrder {
    switch role {
    case .convolutionWeight: .heightWidthInputOutput
    case .classifierWeight: .inputOutput
    case .normalizationScale, .normalizationShift, .runningMean, .runningVariance, .classifierBias: .standard
    }
  }

  /// `features.norm0` of `features.norm0.running_var`
  private static func module(of parameter: Parameter) -> String {
    String(parameter.name.prefix(upTo: parameter.name.lastIndex(of: ".") ?? parameter.name.startIndex))
  }

  // MARK: - Metadata

  /// The version whose names and layout the file has, and the backend whose kernels are not flipped, in the eyes of every
  /// Keras since the first (`preprocess_weights_for_loading`).
  private static let kerasMetadata = [(key: "backend", value: "tensorflow"), (key: "keras_version", value: "3.15.1")]

  /// What else a reader may want to know. Not one of our own keys: the file is no checkpoint.
  private static func safetensorsMetadata(of metadata: CheckpointMetadata) -> [(key: String, value: String)] {
    [
      ("format", "pt"), ("architecture", metadata.architecture.name),
      ("batch_norm_epsilon", JSONValue(metadata.architecture.batchNormEpsilon).text()),
      ("final_relu", String(metadata.architecture.hasFinalReLU)), ("classes", JSONValue(metadata.classes).text()),
      ("preprocessing", metadata.preprocessing.json.text()),
    ]
  }
}

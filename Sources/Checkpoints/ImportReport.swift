import Engine
import Platform
import Tensors
import WeightFormats

/// What an import did with every tensor of a file.
///
///     imported densenet121-a639ec97.pth (torch-legacy, SHA-256 a639…)
///       known as      densenet121-a639ec97.pth: torchvision, ImageNet
///       dialect       torchvision's names of before 0.3 (norm.1)
///       prefix        state_dict. module. densenet121.
///       network       densenet121, 3 channels, epsilon 1e-05, momentum 0.1, final ReLU
///       classes       14: Atelectasis, Cardiomegaly, …
///       preprocessing center-crop 256 → 224
///       tensors       606 used (232 under another name), 121 not used
///         121 × counter of batches, which is not needed
///       weights       SHA-256 09ab…
public struct ImportReport: Equatable, Sendable {
  public enum Use: Equatable, Sendable {
    case parameter(String)
    case notUsed(reason: String)
  }

  public struct Row: Equatable, Sendable {
    public var entry: WeightFile.Entry
    public var use: Use
  }

  public var source: CheckpointMetadata.NamedDigest
  /// The published file that it is.
  public var known: KnownFile?
  public var format: WeightFile.Format
  /// Whose names the tensors have.
  public var dialect: String
  /// What was taken off the front of the names, piece by piece.
  public var prefix: [String]
  public var metadata: CheckpointMetadata
  public var rows: [Row]
  /// What a user should look at.
  public var warnings: [String]
  public var tensorDigest: String

  public var usedCount: Int { rows.count { if case .parameter = $0.use { true } else { false } } }

  /// Of the tensors used, those that the file has under another name than torchvision's, prefixes aside.
  public var renamedCount: Int {
    rows.count { row in
      if case .parameter(let name) = row.use {
        row.entry.name != name && !row.entry.name.hasSuffix("." + name)
      } else {
        false
      }
    }
  }

  /// How many tensors were not used, by reason, in the file's order.
  public var unused: [(reason: String, count: Int)] {
    var counts: [(reason: String, count: Int)] = []
    for row in rows {
      guard case .notUsed(let reason) = row.use else { continue }
      if let index = counts.firstIndex(where: { $0.reason == reason }) {
        counts[index].count += 1
      } else {
        counts.append((reason, 1))
      }
    }
    return counts
  }

  /// For people; ends with a line feed.
  public var text: String {
    let network = metadata.architecture
    let classes = metadata.classes.prefix(4).map(\.printable).joined(separator: ", ")
    var lines = ["imported \(source.name.printable) (\(format.rawValue), SHA-256 \(source.sha256))"]
    if let known { lines.append("  known as      \(known.name): \(known.description)") }
    let renamed = renamedCount == 0 ? "" : " (\(renamedCount) under another name)"
    lines += [
      "  dialect       \(dialect)",
      "  prefix        \(prefix.isEmpty ? "none" : prefix.map(\.printable).joined(separator: " "))",
      "  network       \(network.name), \(network.inputChannels) channel\(network.inputChannels == 1 ? "" : "s"), "
        + "epsilon \(network.batchNormEpsilon), "
        + "momentum \(network.batchNormMomentum), \(network.hasFinalReLU ? "" : "no ")final ReLU",
      "  classes       \(metadata.classes.count): \(classes)\(metadata.classes.count > 4 ? ", …" : "")",
      "  preprocessing \(metadata.preprocessing.summary)",
      "  tensors       \(usedCount) used\(renamed), \(rows.count - usedCount) not used",
    ]
    lines += unused.map { "    \($0.count) × \($0.reason)" }
    lines += metadata.notes.map { "  note          \($0.printable)" }
    lines += warnings.map { "  warning       \($0.printable)" }
    lines.append("  weights       SHA-256 \(tensorDigest)")
    return lines.joined(separator: "\n") + "\n"
  }

  /// For machines.
  public var json: JSONValue {
    let network = metadata.architecture
    return [
      "source": source.json, "known": (known?.name).map { .string($0) } ?? .null, "format": .string(format.rawValue),
      "dialect": .string(dialect),
      "prefix": JSONValue(prefix), "architecture": .string(network.name),
      "input_channels": JSONValue(network.inputChannels), "batch_norm_epsilon": JSONValue(network.batchNormEpsilon),
      "batch_norm_momentum": JSONValue(network.batchNormMomentum), "final_relu": JSONValue(network.hasFinalReLU),
      "classes": JSONValue(metadata.classes), "preprocessing": metadata.preprocessing.json,
      "tensors_sha256": .string(tensorDigest), "notes": JSONValue(metadata.notes),
      "warnings": JSONValue(warnings), "used": JSONValue(usedCount), "renamed": JSONValue(renamedCount),
      "tensors": .array(rows.map(\.json)),
    ]
  }
}

extension ImportReport.Row {
  fileprivate var json: JSONValue {
    var object = entry.json
    switch use {
    case .parameter(let name): object["parameter"] = .string(name)
    case .notUsed(let reason): object["not_used"] = .string(reason)
    }
    return .object(object)
  }
}

extension WeightFile.Entry {
  var json: JSONObject {
    ["name": .string(name), "type": .string(elementType.rawValue), "shape": JSONValue(shape.extents)]
  }
}

extension Preprocessing {
  /// `center-crop 256 → 224`, `resize 224` or `square 224, as torchxrayvision`
  fileprivate var summary: String {
    switch geometry {
    case .centerCrop(let resize, let crop): "center-crop \(resize) → \(crop)"
    case .resize(let size): "resize \(size)"
    case .squareResize(let size): "square \(size), as torchxrayvision"
    }
  }
}

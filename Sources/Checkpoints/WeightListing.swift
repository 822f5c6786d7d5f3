import Platform
import Tensors
import WeightFormats

/// What a weight file holds, whether or not it can be imported.
///
///     weights.pt (torch): 727 tensors, 1 global, no danger
///       global collections.OrderedDict (weights)
///       epoch = 3
///       state_dict.module.densenet121.features.conv0.weight  F32  [64, 3, 7, 7]  min -0.71 max 0.68 mean -0.0003
public struct WeightListing {
  /// How far a file can be trusted.
  public enum Danger: String {
    /// It names nothing but what weights are made of, or has nothing that could name anything.
    case none
    /// A pickle names classes that are not known here. They are read as plain data.
    case unknownGlobals = "unknown-globals"
    /// A pickle names functions that harm. Python would run them.
    case unsafe
  }

  public struct Row {
    public let entry: WeightFile.Entry
    public let statistics: TensorStatistics
  }

  public let file: WeightFile
  public let rows: [Row]

  /// Opens the file at `path` and reads every tensor, one at a time. Nothing in it is run.
  public init(path: String, ignoreCRC: Bool = false) throws(CheckpointError) {
    file = try openWeights(
      path, WeightFile.Options(ignoreCRC: ignoreCRC, allowModulePickle: true, allowDangerousGlobals: true))
    var rows: [Row] = []
    for (index, entry) in file.entries.enumerated() {
      do throws(WeightFormatError) {
        rows.append(Row(entry: entry, statistics: TensorStatistics(try file.tensor(at: index))))
      } catch {
        throw .file(error)
      }
    }
    self.rows = rows
  }

  public var danger: Danger {
    if file.globals.contains(where: \.isDangerous) { return .unsafe }
    return file.globals.contains(where: \.isUnknown) ? .unknownGlobals : .none
  }

  /// Throws where the file names functions that harm, as an import of it does.
  public func checkDanger() throws(CheckpointError) {
    do throws(WeightFormatError) {
      try file.checkGlobals()
    } catch {
      throw .file(error)
    }
  }

  /// For people; ends with a line feed.
  public var text: String {
    let globals = file.globals.isEmpty ? "" : ", \(file.globals.count) globals"
    let dangerText =
      switch danger {
      case .none: "no danger"
      case .unknownGlobals: "unknown classes in it, read as plain data"
      case .unsafe: "UNSAFE: do not load it in Python"
      }
    var lines = ["\(file.path.printable) (\(file.format.rawValue)): \(rows.count) tensors\(globals), \(dangerText)"]
    lines += file.globals.map { "  global \($0.name.printable) (\($0.kind))" }
    lines += file.metadata.map { "  \($0.key.printable) = \($0.value.printable)" }
    lines += rows.map { row in
      var line = "  \(row.entry.name.printable)  \(row.entry.elementType.rawValue)  \(row.entry.shape)"
      if let strides = row.entry.strides, strides != row.entry.shape.contiguousStrides {
        line += "  strides \(Shape(strides))"
      }
      return line + "  " + row.statistics.text
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// For machines.
  public var json: JSONValue {
    [
      "path": .string(file.path), "format": .string(file.format.rawValue), "danger": .string(danger.rawValue),
      "globals": .array(file.globals.map { ["name": .string($0.name), "kind": .string($0.kind)] }),
      "metadata": .object(JSONObject(file.metadata.map { ($0.key, .string($0.value)) })),
      "tensors": .array(
        rows.map { row in
          var object = row.entry.json
          if let strides = row.entry.strides { object["strides"] = JSONValue(strides) }
          for (key, value) in row.statistics.json.members { object[key] = value }
          return .object(object)
        }),
    ]
  }
}

/// What the numbers of a tensor are like. Minimum, maximum and mean are of those that are finite; nil where none is.
public struct TensorStatistics: Equatable, Sendable {
  public var minimum: Double?
  public var maximum: Double?
  public var mean: Double?
  public var notNumbers = 0
  public var infinities = 0

  public init(_ tensor: HostTensor) {
    var sum = 0.0
    var count = 0
    var (low, high) = (Double.infinity, -Double.infinity)
    for value in tensor.doubles() {
      if value.isNaN {
        notNumbers += 1
      } else if value.isInfinite {
        infinities += 1
      } else {
        low = min(low, value)
        high = max(high, value)
        sum += value
        count += 1
      }
    }
    if count > 0 { (minimum, maximum, mean) = (low, high, sum / Double(count)) }
  }

  /// `min -0.71 max 0.68 mean -0.0003 NaN 2`
  var text: String {
    func digits(_ value: Double?) -> String { value.map { "\(Float($0))" } ?? "none" }
    return "min \(digits(minimum)) max \(digits(maximum)) mean \(digits(mean))"
      + (notNumbers == 0 ? "" : " NaN \(notNumbers)") + (infinities == 0 ? "" : " infinite \(infinities)")
  }

  var json: JSONObject {
    func number(_ value: Double?) -> JSONValue { value.map { JSONValue($0) } ?? .null }
    return [
      "min": number(minimum), "max": number(maximum), "mean": number(mean), "nan": JSONValue(notNumbers),
      "infinite": JSONValue(infinities),
    ]
  }
}

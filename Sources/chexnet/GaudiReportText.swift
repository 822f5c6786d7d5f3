import Accelerators
import Engine
import Evaluation
import Platform

extension GaudiReport {
  /// On the tests' stand-in:
  /// ```
  /// chexnet 0.1.0 on gaudi (Gaudi 2)
  /// device        GAUDI2, 4.3 GB, of which 4.3 GB are free
  /// Synapse       1.21.0.stub (libGaudiStub.so), HCCL in it
  ///
  /// what Synapse compiles for Gaudi 2
  ///   59 graphs  ok
  ///
  /// nodes, against their definitions
  ///   49 trials  ok
  ///
  /// arithmetic, against the textbook in double precision (largest deviation, as a share of what rounding explains)
  ///   fp32 on gaudi (Gaudi 2)  22 cases  14 %  ok
  ///   …
  /// ```
  var text: String {
    var lines = ["chexnet \(toolVersion) on \(device?.title ?? "Synapse, without a card")"]
    if let device {
      lines.append(
        "device        \(device.name), \(gigabytes(device.memory)), of which \(gigabytes(device.freeMemory)) are free")
    }
    lines.append(
      "Synapse       \(release) (\(library)), " + (hasHCCL ? "HCCL in it" : "no HCCL in it: several cards need it"))
    for (generation, findings) in compiled {
      lines += ["", "what Synapse compiles for \(generation)"] + findings.lines("graphs")
    }
    if !nodes.isEmpty { lines += ["", "nodes, against their definitions"] + nodes.lines("trials") }
    if !conformance.isEmpty {
      lines += [
        "",
        "arithmetic, against the textbook in double precision (largest deviation, as a share of what rounding explains)",
      ]
      lines += conformance.lines
    }
    if !inference.isEmpty {
      lines += ["", "inference of DenseNet-121 at 224×224, batch 64, images sent and logits brought back"]
      lines += inference.map { "  \($0.precision.rawValue)  \(decimals($0.imagesPerSecond, 1)) images/s" }
    }
    if !isMeasurable { lines += ["", "Nothing was measured: this Synapse is the tests' stand-in."] }
    lines +=
      conforms
      ? [
        "",
        "No Gaudi has run chexnet where it is made: please send this report in, as --json, with what hl-smi says.",
      ]
      : [
        "", "Not all is right with this Synapse or card: do not use its results, and send this report in, as --json.",
      ]
    return lines.joined(separator: "\n") + "\n"
  }

  private func gigabytes(_ bytes: Int) -> String { "\(decimals(Double(bytes) / 1e9, 1)) GB" }

  var json: JSONValue {
    [
      "chexnet": .string(toolVersion), "synapse": .string(release), "library": .string(library),
      "hccl": .bool(hasHCCL),
      "device": device.map {
        [
          "title": .string($0.title), "name": .string($0.name), "memory_bytes": JSONValue($0.memory),
          "free_bytes": JSONValue($0.freeMemory),
        ]
      } ?? .null,
      "conforms": .bool(conforms),
      "compiled": .array(
        compiled.map { ["generation": .string($0.generation), "graphs": $0.findings.json] }),
      "nodes": nodes.json, "conformance": conformance.json,
      "inference": .array(
        inference.map {
          ["precision": .string($0.precision.rawValue), "images_per_second": JSONValue($0.imagesPerSecond)]
        }),
    ]
  }
}

extension [GaudiReport.Finding] {
  /// How many, and each that is wrong.
  fileprivate func lines(_ what: String) -> [String] {
    let wrong = filter { !$0.failures.isEmpty }
    return ["  \(count) \(what)  \(wrong.isEmpty ? "ok" : "\(wrong.count) WRONG")"]
      + wrong.flatMap { finding in ["  \(finding.name)"] + finding.failures.map { "    " + $0 } }
  }

  fileprivate var json: JSONValue {
    .array(map { ["name": .string($0.name), "failures": JSONValue($0.failures)] })
  }
}

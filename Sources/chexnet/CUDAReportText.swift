import Accelerators
import Engine
import Evaluation
import Platform

extension [Conformance.Summary] {
  /// A line each, and their first failures.
  var lines: [String] {
    let width = map(\.name.count).max() ?? 0
    return flatMap { summary in
      let name = summary.name.padding(toLength: width, withPad: " ", startingAt: 0)
      let verdict = summary.failures.isEmpty ? "ok" : "WRONG"
      return ["  \(name)  \(summary.cases) cases  \(decimals(100 * summary.worst, 0)) %  \(verdict)"]
        + summary.failures.prefix(5).map { "    " + $0 }
    }
  }

  var json: JSONValue {
    .array(
      map {
        [
          "name": .string($0.name), "cases": JSONValue($0.cases), "worst_share": JSONValue($0.worst),
          "failures": JSONValue($0.failures),
        ]
      })
  }
}

extension CUDAReport {
  /// ```
  /// chexnet 0.1.0 on cuda:0 (NVIDIA H200)
  /// device        compute capability 9.0, 132 multiprocessors, 143.8 GB, of which 143.1 GB are free
  /// driver        CUDA 13.0 (libcuda.so.1)
  /// NCCL          2.28.3 (libnccl.so.2)
  ///
  /// instructions, against their definitions
  ///   ldmatrix            ok
  ///   …
  ///
  /// arithmetic, against the textbook in double precision (largest deviation, as a share of what rounding explains)
  ///   fp32 on cuda:0 (NVIDIA H200)  11 cases  21 %  ok
  ///   …
  ///
  /// kernels of DenseNet-121 at 224×224, bf16, batch 256 (of the floor: the least time that bytes or arithmetic take, over the time it took)
  ///   …
  ///
  /// inference of DenseNet-121 at 224×224
  ///   …
  /// ```
  var text: String {
    var lines = [
      "chexnet \(toolVersion) on \(device.title)",
      "device        compute capability \(device.capability), \(device.multiprocessors) multiprocessors, "
        + "\(gigabytes(device.memory)), of which \(gigabytes(device.freeMemory)) are free",
      "driver        CUDA \(device.driver) (\(device.library))",
      "NCCL          " + (device.nccl.map { "\($0.version) (\($0.library))" } ?? "none: several GPUs need it"), "",
      "instructions, against their definitions",
    ]
    let width = primitives.map(\.name.count).max() ?? 0
    for (name, failures) in primitives {
      let name = name.padding(toLength: width, withPad: " ", startingAt: 0)
      lines.append("  \(name)  \(failures.isEmpty ? "ok" : "WRONG")")
      lines += failures.map { "    " + $0 }
    }
    lines += [
      "",
      "arithmetic, against the textbook in double precision (largest deviation, as a share of what rounding explains)",
    ]
    lines += conformance.lines
    if let kept {
      let others = choices.filter { $0.fastest != $0.rule }
      lines += [
        "",
        "kernels that do the same: the fastest, where it is not the one that is taken unmeasured (\(others.count) of \(choices.count))",
      ]
      lines += others.lines
      lines.append(
        kept.failure.map { "not kept, so that nothing changes: " + $0 }
          ?? "Sessions take them from now on: \(kept.path)")
    }
    if !kernels.isEmpty {
      lines += [
        "",
        "kernels of DenseNet-121 at 224×224, bf16, batch \(kernelBatch) (the least time that bytes or arithmetic take, of the time it took)",
      ]
      lines += kernels.lines
    }
    if !trainingKernels.isEmpty { lines += ["", "kernels of a step of training, the same"] + trainingKernels.lines }
    if !inference.isEmpty {
      lines += ["", "inference of DenseNet-121 at 224×224, images/s (and with images sent and logits brought back)"]
      for timing in inference {
        let batch = "\(timing.batch)".padding(toLength: 3, withPad: " ", startingAt: 0)
        lines.append(
          "  \(timing.precision.rawValue)  batch \(batch)  \(decimals(timing.imagesPerSecond, 1)) in \(decimals(timing.milliseconds, 2)) ms"
            + "  (\(decimals(timing.imagesPerSecondWithTransfers, 1)) in \(decimals(timing.millisecondsWithTransfers, 2)) ms)"
        )
      }
    }
    if !training.isEmpty {
      lines += ["", "training of DenseNet-121 at 224×224 by Adam, images/s, images sent meanwhile (and memory)"]
      for timing in training {
        let batch = "\(timing.batch)".padding(toLength: 3, withPad: " ", startingAt: 0)
        lines.append(
          "  \(timing.precision.rawValue)  batch \(batch)  \(decimals(timing.imagesPerSecond, 1)) in \(decimals(timing.milliseconds, 2)) ms  (\(gigabytes(timing.bytes)))"
        )
      }
    }
    if !isMeasurable { lines += ["", "Nothing was measured: this device is an emulator."] }
    lines +=
      conforms
      ? [] : ["", "The arithmetic is wrong on this device: do not use its results, and send this report in."]
    return lines.joined(separator: "\n") + "\n"
  }

  private func gigabytes(_ bytes: Int) -> String { "\(decimals(Double(bytes) / 1e9, 1)) GB" }

  var json: JSONValue {
    [
      "chexnet": .string(toolVersion),
      "device": [
        "name": .string(device.title), "compute_capability": .string(device.capability),
        "multiprocessors": JSONValue(device.multiprocessors), "memory_bytes": JSONValue(device.memory),
        "free_bytes": JSONValue(device.freeMemory), "driver": .string(device.driver),
        "library": .string(device.library), "nccl": JSONValue(device.nccl?.version),
        "nccl_library": JSONValue(device.nccl?.library),
      ],
      "conforms": .bool(conforms),
      "primitives": .array(
        primitives.map { ["name": .string($0.name), "failures": JSONValue($0.failures)] }),
      "conformance": conformance.json,
      "choices": .array(
        choices.map {
          [
            "operation": .string($0.operation), "shape": .string($0.shapes), "fastest": JSONValue($0.fastest),
            "rule": JSONValue($0.rule),
            "candidates": .array(
              $0.candidates.map {
                ["kernels": .string($0.name), "microseconds": JSONValue($0.microseconds)]
              }),
          ]
        }), "choices_file": JSONValue(kept?.path), "choices_failure": JSONValue(kept?.failure),
      "kernel_batch": JSONValue(kernelBatch),
      "kernels": kernels.json, "training_kernels": trainingKernels.json,
      "inference": .array(
        inference.map {
          [
            "precision": .string($0.precision.rawValue), "batch": JSONValue($0.batch),
            "images_per_second": JSONValue($0.imagesPerSecond), "milliseconds": JSONValue($0.milliseconds),
            "images_per_second_with_transfers": JSONValue($0.imagesPerSecondWithTransfers),
            "milliseconds_with_transfers": JSONValue($0.millisecondsWithTransfers),
          ]
        }),
      "training": .array(
        training.map {
          [
            "precision": .string($0.precision.rawValue), "batch": JSONValue($0.batch),
            "images_per_second": JSONValue($0.imagesPerSecond), "milliseconds": JSONValue($0.milliseconds),
            "bytes": JSONValue($0.bytes),
          ]
        }),
    ]
  }
}

extension [KernelQuestion] {
  /// A line each.
  fileprivate var lines: [String] {
    map { question in
      let (found, other) = (question.candidates[question.fastest], question.candidates[question.rule])
      return "  \(question.operation), \(question.shapes)  \(found.name)"
        + "  \(decimals(found.microseconds, 1)) µs, not \(decimals(other.microseconds, 1))"
    }
  }
}

extension [KernelTiming] {
  /// A line each.
  fileprivate var lines: [String] {
    let (names, shapes) = (map(\.kernel.count).max() ?? 0, map(\.shapes.count).max() ?? 0)
    return map { timing in
      let floor = timing.floorMicroseconds.map { floor in
        let bound = timing.isBoundByArithmetic ? "arithmetic" : "bytes"
        return "  \(decimals(100 * floor / timing.microseconds, 0)) % (\(bound), \(decimals(floor, 1)) µs)"
      }
      return "  " + timing.kernel.padding(toLength: names, withPad: " ", startingAt: 0) + "  "
        + timing.shapes.padding(toLength: shapes, withPad: " ", startingAt: 0)
        + "  \(timing.launches) × \(decimals(timing.microseconds, 1)) µs" + (floor ?? "")
    }
  }

  fileprivate var json: JSONValue {
    .array(
      map {
        [
          "name": .string($0.kernel), "shape": .string($0.shapes), "launches": JSONValue($0.launches),
          "microseconds": JSONValue($0.microseconds),
          "floor_microseconds": $0.floorMicroseconds.map { JSONValue($0) } ?? .null,
          "bound": .string($0.isBoundByArithmetic ? "arithmetic" : "bytes"),
        ]
      })
  }
}

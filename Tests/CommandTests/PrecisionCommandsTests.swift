import Foundation
import Platform
import TestSupport
import Testing

@Suite struct PrecisionCommandsTests {
  private func logits(_ arguments: [String], environment: [String: String] = [:]) throws -> ([Double], String) {
    let output = try Executable.run(arguments + ["--json"], environment: environment)
    #expect(output.status == 0, "\(output.err)")
    let findings = try output.json()["images"]?[0]?["findings"]?.array ?? []
    return (findings.compactMap { $0["logit"]?.double }, output.err)
  }

  /// 0.04 of the largest is derived in `Conformance`.
  @Test func `bf16 predicts what fp32 does, but for its rounding`() throws {
    try inTemporaryFolder { folder in
      let predict = ["predict", try importedCheckpoint(folder), SmallDemo.image]
      let fp32 = try logits(predict).0
      let bf16 = try logits(predict + ["--precision", "bf16", "--device", "cpu"]).0
      #expect(fp32.count == 14)
      let difference = relativeDifference(bf16, fp32)
      #expect(difference > 0 && difference < 0.04)
    }
  }

  @Test func `doctor finds the arithmetic right, and auto takes what it measured to be faster`() throws {
    try inTemporaryFolder { folder in
      let predict = ["predict", try importedCheckpoint(folder), SmallDemo.image, "--device", "cpu"]
      let cache = ["XDG_CACHE_HOME": folder + "/cache"]
      let unmeasured = try logits(predict + ["--precision", "auto"], environment: cache)
      #expect(unmeasured.1.contains("computing in fp32: chexnet doctor has not measured"))
      #expect(try logits(predict).0 == unmeasured.0)

      let doctor = try Executable.run(["doctor", "--json"], environment: cache)
      #expect(doctor.status == 0, "\(doctor.err)")
      let report = try doctor.json()
      for mpi in MPI.allCases {
        let found = report["libraries"]?[mpi == .openMPI ? "Open MPI" : "MPICH"]?.string
        #expect((found != "none") == MPI.installed.contains(mpi), "\(mpi): \(found ?? "not named")")
      }
      #expect(report["conforms"]?.bool == true)
      // Each precision on plain C at the least.
      #expect((report["conformance"]?.array?.count ?? 0) >= 2)
      for library in ["OpenBLAS", "HDF5", "zlib", "libdeflate", "libpng", "libcrypto"] {
        #expect(report["libraries"]?[library]?.string?.isEmpty == false)
      }
      let kept = folder + "/cache/chexnet/doctor.json"
      let record = try JSONValue.parse(try FileReader.contents(of: kept))
      #expect(record == report["inference"])
      let speeds = ["fp32", "bf16"].map { record["images_per_second"]?[$0]?.double ?? 0 }
      #expect(speeds.allSatisfy { $0 > 0 })

      let fastest = speeds[1] > speeds[0] ? "bf16" : "fp32"
      let measured = try logits(predict + ["--precision", "auto"], environment: cache)
      #expect(measured.1.contains("computing in \(fastest)"))
      #expect(try logits(predict + ["--precision", fastest]).0 == measured.0)

      // What was measured on another processor, or cannot be read, does not count.
      let text = String(decoding: try FileReader.contents(of: kept), as: UTF8.self)
      for spoilt in [text.replacingOccurrences(of: "\"processor\": \"", with: "\"processor\": \"another "), "{"] {
        try AtomicFile.write(spoilt, to: kept, overwriting: true)
        let again = try logits(predict + ["--precision", "auto"], environment: cache)
        #expect(again.1.contains("has not measured"))
      }
    }
  }

  @Test func `without OpenBLAS doctor compares all the same, and only the textbook is not there`() throws {
    try inTemporaryFolder { folder in
      // The loader stops at a file that is no library, and looks for none elsewhere.
      for name in ["libopenblas.so.0", "libopenblas.so"] {
        try AtomicFile.write("none", to: folder + "/" + name, overwriting: false)
      }
      let hidden = ["LD_LIBRARY_PATH": folder]
      let doctor = try Executable.run(["doctor", "--json"], environment: hidden)
      #expect(doctor.status == 0, "\(doctor.err)")
      #expect(try doctor.json()["libraries"]?["OpenBLAS"] == "none")
      #expect(try doctor.json()["conforms"]?.bool == true)

      let predict = ["predict", try importedCheckpoint(folder), SmallDemo.image, "--json"]
      #expect(try Executable.run(predict, environment: hidden).status == 0)
      let reference = try Executable.run(predict + ["--device", "reference"], environment: hidden)
      #expect(reference.status == 69)
      #expect(try reference.error()["id"] == "library.missing")
    }
  }

  @Test func `a run in bf16 says so, learns, and goes on to the same bytes`() throws {
    try inTemporaryFolder { folder in
      let flags = ["--device", "cpu", "--precision", "bf16"]
      for (run, epochs) in [("whole", [2]), ("cut", [1, 2])] {
        for count in epochs {
          let output = try Executable.run(SmallDemo.finetune(folder + "/" + run, epochs: count) + flags)
          #expect(output.status == 0, "\(output.err)")
        }
      }
      let settings = try JSONValue.parse(try FileReader.contents(of: folder + "/whole/settings.json"))
      #expect(settings["precision"] == "bf16")
      for file in ["/checkpoints/last.safetensors", "/metrics.csv"] {
        #expect(
          try FileReader.contents(of: folder + "/whole" + file) == FileReader.contents(of: folder + "/cut" + file))
      }
      let other = try Executable.run(SmallDemo.finetune(folder + "/whole", epochs: 3) + ["--device", "cpu"])
      #expect(other.status == 64)
      #expect(other.err.contains("--precision \"bf16\" there, \"fp32\" now"))
      #expect(try Executable.run(SmallDemo.finetune(folder + "/fp32") + ["--device", "cpu"]).status == 0)
      #expect(
        try FileReader.contents(of: folder + "/fp32/metrics.csv")
          != FileReader.contents(of: folder + "/whole/metrics.csv"))
    }
  }

  @Test func `the textbook computes in fp32 only, and doctor needs no home but a device`() throws {
    try inTemporaryFolder { folder in
      let output = try Executable.run(
        SmallDemo.finetune(folder + "/run") + ["--device", "reference", "--precision", "bf16", "--json"])
      #expect(output.status == 69)
      #expect(try output.error()["id"] == "device.precision")
      #expect(!FileManager.default.fileExists(atPath: folder + "/run"))
      // Nowhere to keep what was measured: said, and no failure.
      let homeless = try Executable.run(["doctor"], environment: ["XDG_CACHE_HOME": "/proc/nowhere"])
      #expect(homeless.status == 0)
      #expect(homeless.out.contains("bf16 on plain C"))
      #expect(homeless.err.contains("the measurement is not kept"))
      let doctor = try Executable.run(["doctor", "--device", "tpu", "--json"])
      #expect(doctor.status == 69)
      #expect(try doctor.error()["id"] == "device.unavailable")
    }
  }
}

import Foundation
import Platform
import TestSupport
import Testing

@Suite struct ExportWeightsCommandTests {
  private static let ways: [[String]] = [
    ["torch"], ["torch", "--names", "chexnet"], ["safetensors"], ["safetensors", "--names", "chexnet"], ["keras"],
  ]

  @Test(arguments: ways)
  func `what was exported imports as the same weights`(way: [String]) throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      let exported = try Executable.run(
        ["export-weights", checkpoint, "--output", folder + "/out.h5", "--json", "--format"] + way)
      #expect(exported.status == 0, "\(exported.err)")
      let report = try exported.json()
      #expect(report["output"]?.string == folder + "/out.h5")
      #expect(report["tensors"]?.integer == (way == ["keras"] ? 66 : 79))
      let imported = try Executable.run([
        "import-weights", folder + "/out.h5", "--output", folder + "/again.safetensors", "--json",
      ])
      #expect(imported.status == 0, "\(imported.err)")
      #expect(report["tensors_sha256"]?.string?.count == 64)
      #expect(try imported.json()["tensors_sha256"] == report["tensors_sha256"])
    }
  }

  @Test func `the text ends with the file, and notes go to standard error`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      let torch = try Executable.run(["export-weights", checkpoint, "--output", folder + "/a.pt", "--format", "torch"])
      #expect(
        torch.out.contains("  opens with    network = torchvision.models.DenseNet(4, (2, 3), 8, num_classes=14); "))
      #expect(torch.out.hasSuffix("\nwrote \(folder)/a.pt\n"))
      #expect(torch.err.isEmpty)
      let keras = try Executable.run(["export-weights", checkpoint, "--output", folder + "/a.h5", "--format", "keras"])
      #expect(keras.status == 0)
      #expect(keras.err.hasPrefix("note: batch norms have epsilon 1e-05 here and 1.001e-05 in Keras: "))
      #expect(keras.err.contains("\nnote: keras.applications has no 4:2,3: "))
    }
  }

  @Test(
    arguments: [
      (["a.h5", "--format", "keras", "--names", "chexnet"], "--names is for torch and safetensors"),
      (["a.weights.h5", "--format", "keras"], "not in .weights.h5"),
      (["a.keras", "--format", "keras"], ".h5 or .hdf5"),
      (["a.pt", "--format", "torhc"], "'torch', 'keras' or 'safetensors'"),
      (["a.pt", "--format", "torch", "--names", "timm"], "'torchvision' and 'chexnet'"),
      (["checkpoint.safetensors", "--format", "safetensors", "--force"], "the checkpoint itself"),
      (["a.pt"], "--format"),
    ] as [([String], String)])
  func `what cannot be meant is exit 64`(arguments: [String], message: String) throws {
    let output = try Executable.run(["export-weights", "checkpoint.safetensors", "--output"] + arguments)
    #expect(output.status == 64)
    #expect(output.err.contains(message), "\(output.err)")
  }

  @Test func `what exists is not overwritten, exit 73, unless forced`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      for format in ["torch", "keras", "safetensors"] {
        let path = folder + "/out.h5"
        try AtomicFile.write("mine", to: path, overwriting: true)
        let export = ["export-weights", checkpoint, "--output", path, "--format", format]
        #expect(try Executable.run(export).status == 73)
        #expect(try FileReader.contents(of: path) == Array("mine".utf8))
        #expect(try Executable.run(export + ["--force"]).status == 0)
        #expect(try FileReader.contents(of: path).count > 10_000)
      }
    }
  }

  @Test func `no checkpoint, no folder: exit 66, 65 and 73, and nothing is written`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      func run(_ checkpoint: String, _ output: String, _ format: String) throws -> Executable.Output {
        try Executable.run(["export-weights", checkpoint, "--output", output, "--format", format, "--json"])
      }
      for format in ["torch", "keras", "safetensors"] {
        #expect(try run(folder + "/none", folder + "/a.h5", format).status == 66)
        let foreign = try run(fixture("small-densenet/weights.pt"), folder + "/a.h5", format)
        #expect(foreign.status == 65)
        #expect(try foreign.error()["id"] == "checkpoint.foreign")
        #expect(try run(checkpoint, folder + "/none/a.h5", format).status == 73)
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["checkpoint.safetensors"])
    }
  }

  @Test(arguments: ["torch", "keras", "safetensors"])
  func `a disk that takes no more is exit 74, and nothing is left`(format: String) throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      for limit in [1, 8, 24] {
        let output = try Executable.run(
          ["export-weights", checkpoint, "--output", folder + "/out.h5", "--format", format, "--json"], limit: limit)
        #expect(output.status == 74, "\(limit) KiB: \(output.err)")
        #expect(try output.error()["message"]?.string?.contains("out.h5: File too large") == true, "\(output.err)")
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["checkpoint.safetensors"])
    }
  }
}

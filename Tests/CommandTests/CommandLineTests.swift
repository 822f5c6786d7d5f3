import Foundation
import Platform
import TestSupport
import Testing

@Suite struct CommandLineTests {
  @Test func `help says what it is, and that it is no medical device`() throws {
    let help = try Executable.run(["--help"])
    #expect(help.status == 0)
    #expect(help.out.contains("Not a medical device"))
    for command in [
      "import-weights", "finetune", "evaluate", "heatmap", "predict", "export-weights", "doctor", "demo-data",
    ] {
      #expect(help.out.contains(command))
      #expect(try Executable.run([command, "--help"]).status == 0)
    }
    #expect(try Executable.run(["--version"]).out == toolVersion + "\n")
  }

  @Test(arguments: [
    ["predikt"], ["predict", "a.safetensors", "b.png", "--ouptut", "x"], ["evaluate", "--test", "x"],
    ["finetune", "--data", "a", "--train", "b", "--validation", "c"],
    ["heatmap", "a", "b", "--output", "c", "--depth", "9"],
    ["demo-data", "--output", "x", "--images", "3"], ["doctor", "--threads", "0"],
    ["predict", "a.safetensors", "b.png", "--precision", "fp16"], ["import-weights", "a.pt"],
  ])
  func `what cannot be meant is exit 64, on standard error, as JSON when asked`(arguments: [String]) throws {
    let text = try Executable.run(arguments)
    #expect(text.status == 64)
    #expect(text.out.isEmpty)
    #expect(text.err.hasPrefix("Error: "))
    let json = try Executable.run(arguments + ["--json"])
    #expect(json.status == 64)
    #expect(try json.error()["exit"] == 64)
  }

  /// Before anything else that is wrong with it.
  @Test(arguments: [
    (["predict", "a", "b", "--ouptut", "x"], "--ouptut", "--output"), (["evaluate", "--dat", "x"], "--dat", "--data"),
    (["finetune", "--trian=x"], "--trian", "--train"), (["evalute", "x"], "evalute", "evaluate"),
    (["doctor", "--keep-kernel"], "--keep-kernel", "--keep-kernels"),
  ])
  func `what is misspelled is answered with the right word`(arguments: [String], typed: String, meant: String) throws {
    let text = try Executable.run(arguments)
    #expect(text.status == 64)
    #expect(text.err.contains("'\(typed)'. Did you mean '\(meant)'?"), "\(text.err)")
    let error = try Executable.run(arguments + ["--json"]).error()
    #expect(error["message"]?.string?.contains("Did you mean '\(meant)'?") == true)
    #expect(error["hint"]?.string?.hasPrefix("chexnet ") == true)
  }

  @Test func `what is like nothing is answered without a guess, and values are left alone`() throws {
    let unlike = try Executable.run(["finetune", "--zebra"])
    #expect(unlike.status == 64 && unlike.err.hasPrefix("Error: Unknown option '--zebra'.\n"))
    // What misses is the list.
    let missing = try Executable.run(["evaluate", "--data", "--", "--dat"])
    #expect(missing.status == 64 && !missing.err.contains("Unknown"))
  }

  @Test func `a file that is not there is named, exit 66`() throws {
    let output = try Executable.run(["predict", "no.safetensors", "no.png", "--json"])
    #expect(output.status == 66)
    #expect(try output.error()["id"] == "file.missing")
    #expect(try output.error()["file"] == "no.safetensors")
    #expect(output.out.isEmpty)
  }

  @Test func `a device that is not in this build is exit 69`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      let output = try Executable.run(["predict", checkpoint, SmallDemo.image, "--device", "cuda"])
      #expect(output.status == 69)
      #expect(output.err.contains("--device cpu"))
    }
  }
}

@Suite struct ImportWeightsCommandTests {
  /// The three formats, and the names of two eras, hold the same numbers.
  @Test func `one network from four files has one tensor digest`() throws {
    try inTemporaryFolder { folder in
      let digests = try ["weights.safetensors", "weights.pt", "weights-ddp.pt", "weights.h5"].map { name in
        let output = try Executable.run(
          [
            "import-weights", fixture("small-densenet/" + name), "--output", folder + "/" + name + ".safetensors",
            "--json",
          ])
        #expect(output.status == 0, "\(output.err)")
        return try output.json()["tensors_sha256"]?.string
      }
      #expect(digests[0] != nil)
      #expect(Set(digests).count == 1)
    }
  }

  @Test func `what exists is not overwritten, exit 73, unless forced`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      let before = try FileReader.contents(of: checkpoint)
      let again = ["import-weights", fixture("small-densenet/weights.h5"), "--output", checkpoint]
      #expect(try Executable.run(again).status == 73)
      #expect(try FileReader.contents(of: checkpoint) == before)
      #expect(try Executable.run(again + ["--force"]).status == 0)
      #expect(try FileReader.contents(of: checkpoint) != before)
    }
  }

  @Test(arguments: ["weights.safetensors", "weights.pt", "weights.h5"])
  func `a truncated file is exit 65, and nothing is written`(name: String) throws {
    try inTemporaryFolder { folder in
      let bytes = try FileReader.contents(of: fixture("small-densenet/" + name))
      try AtomicFile.write(Array(bytes.prefix(bytes.count / 2)), to: folder + "/" + name, overwriting: false)
      let output = try Executable.run([
        "import-weights", folder + "/" + name, "--output", folder + "/out.safetensors", "--json",
      ])
      #expect(output.status == 65)
      #expect(try output.error()["message"]?.string?.isEmpty == false)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [name])
    }
  }

  @Test func `a file that libhdf5 itself does not survive is exit 65, and says so`() throws {
    let path = fixture("weight-files/keras/crashes-libhdf5.h5")
    let output = try Executable.run(["import-weights", path, "--inspect", "--json"])
    #expect(output.status == 65)
    #expect(output.out.isEmpty)
    #expect(try output.error()["id"] == "keras.reader-crashed")
    #expect(try output.error()["message"]?.string?.contains("libhdf5 itself fails on it (signal 11") == true)
  }

  @Test func `a disk that takes no more is exit 74, and nothing is left`() throws {
    try inTemporaryFolder { folder in
      let output = try Executable.run(
        ["import-weights", fixture("small-densenet/weights.pt"), "--output", folder + "/out.safetensors"], limit: 8)
      #expect(output.status == 74)
      #expect(output.err.contains("out.safetensors"))
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test func `inspecting lists every tensor and writes nothing`() throws {
    let output = try Executable.run(["import-weights", fixture("small-densenet/weights-ddp.pt"), "--inspect"])
    #expect(output.status == 0)
    #expect(output.out.contains("module.densenet121.classifier.0.weight"))
  }
}

/// A checkpoint of the small network, imported by the executable.
func importedCheckpoint(_ folder: String) throws -> String {
  let path = folder + "/checkpoint.safetensors"
  let output = try Executable.run(["import-weights", fixture("small-densenet/weights.pt"), "--output", path])
  #expect(output.status == 0, "\(output.err)")
  return path
}

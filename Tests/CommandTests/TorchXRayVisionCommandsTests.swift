import Checkpoints
import Engine
import Platform
import Tensors
import TestSupport
import Testing

/// Networks of one channel, with torchxrayvision's preprocessing.
@Suite struct TorchXRayVisionCommandsTests {
  private func oneChannelCheckpoint(_ folder: String) throws -> String {
    let architecture = DenseNetArchitecture(
      growthRate: 2, blockSizes: [1, 1], initialFeatures: 4, inputChannels: 1, classCount: 14)
    let checkpoint = Checkpoint(
      weights: Weights(initializing: architecture, seed: 1),
      metadata: CheckpointMetadata(
        architecture: architecture, classes: ClassNames.chestXray14, preprocessing: .torchXRayVision(imageSize: 64)))
    try checkpoint.save(to: folder + "/xrv.safetensors", overwriting: false)
    return folder + "/xrv.safetensors"
  }

  @Test func `pictures of every shape are predicted`() throws {
    try inTemporaryFolder { folder in
      let images = ["wide", "tall", "rgb8", "gray8"].map { fixture("images/\($0).png") } + [SmallDemo.image]
      let output = try Executable.run(["predict", try oneChannelCheckpoint(folder)] + images + ["--json"])
      #expect(output.status == 0, "\(output.err)")
      #expect(try output.json()["images"]?.array?.count == images.count)
    }
  }

  @Test func `heatmaps lie on the central square`() throws {
    try inTemporaryFolder { folder in
      let output = try Executable.run([
        "heatmap", try oneChannelCheckpoint(folder), fixture("images/wide.png"), "--output", folder + "/maps",
        "--finding", "Mass",
      ])
      #expect(output.status == 0, "\(output.err)")
      let json = try JSONValue.parse(try FileReader.contents(of: folder + "/maps/wide.Mass.json"))
      // 128 × 97.
      #expect(["x", "y", "width", "height"].map { json["crop_window"]?[$0]?.double } == [16, 0, 97, 97])
    }
  }

  @Test func `such a network is finetuned and evaluated`() throws {
    try inTemporaryFolder { folder in
      let demo = SmallDemo.folder
      let finetuned = try Executable.run([
        "finetune", "--data", demo, "--train", demo + "/train_list.txt", "--validation", demo + "/val_list.txt",
        "--weights", try oneChannelCheckpoint(folder), "--epochs", "1", "--batch-size", "4", "--image-size", "32",
        "--output", folder + "/run",
      ])
      #expect(finetuned.status == 0, "\(finetuned.err)")
      let best = folder + "/run/checkpoints/best.safetensors"
      #expect(try Checkpoint.load(path: best).metadata.preprocessing == .torchXRayVision(imageSize: 32))
      let evaluated = try Executable.run([
        "evaluate", best, "--data", demo, "--test", demo + "/test_list.txt", "--json",
      ])
      #expect(evaluated.status == 0, "\(evaluated.err)")
      #expect(try evaluated.json()["checkpoints"]?[0]?["findings"]?.array?.count == 14)
    }
  }
}

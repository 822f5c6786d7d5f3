import ChestXray
import Engine

extension Session {
  /// The images of `batch`, which `preparation` has made, as this network takes them.
  public func images(of batch: Batch, by preparation: ImagePreparation) -> ImageBatch {
    ImageBatch(batch.images, shape: plan.image, tables: preparation.tables)
  }

  /// What brings a loader's batches to the device while the session works on others; nil where that is of no use. `place`: of `preparation` among the
  /// loader's.
  public func bringing(by preparation: ImagePreparation, at place: Int = 0) -> (@Sendable ([Batch]) -> Void)? {
    guard let stage else { return nil }
    let (shape, tables) = (plan.image, preparation.tables)
    return { stage.bring(ImageBatch($0[place].images, shape: shape, tables: tables)) }
  }
}

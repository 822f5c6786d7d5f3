import ChestXray
import Platform
import Tensors

/// The two lists of a run, read and checked against each other.
struct TrainingData {
  let training: LabelTable
  let validation: LabelTable
  /// The classes to train: those asked for, else the training list's findings. Both lists have labels for each.
  let classes: [String]
  private let folder: ImageFolder

  /// Throws where a list or folder is missing, a class has no labels, or the lists share images or patients and that is not
  /// allowed.
  init(_ options: TrainingOptions) throws(TrainingError) {
    do {
      training = try LabelTable(list: options.trainList, labels: options.labels)
      validation = try LabelTable(list: options.validationList, labels: options.labels)
      folder = try ImageFolder(path: options.data)
    } catch {
      throw .cause(error)
    }
    let wanted = options.classes ?? training.findings
    for table in [training, validation] {
      for (name, column) in zip(wanted, table.columns(for: wanted)) where column == nil {
        throw .missingClass(name, nearest: nearestName(to: name, among: table.findings), found: table.findings)
      }
    }
    classes = wanted.map(canonicalClassName)
    if !options.allowsPatientOverlap { try checkOverlap() }
  }

  /// The images of both lists, found, as `preprocessing` shows them to a network.
  func datasets(_ preprocessing: Preprocessing) throws(TrainingError) -> (training: Dataset, validation: Dataset) {
    do {
      return (
        try Dataset(table: training, folder: folder, classes: classes, preprocessing: preprocessing),
        try Dataset(table: validation, folder: folder, classes: classes, preprocessing: preprocessing)
      )
    } catch {
      throw .cause(error)
    }
  }

  private func checkOverlap() throws(TrainingError) {
    let overlap = ListOverlap(training, validation)
    let (images, patients) = (overlap.images, overlap.patients)
    guard images.isEmpty else { throw .imageOverlap(images: Array(images.prefix(5)), count: images.count) }
    guard patients.isEmpty else { throw .patientOverlap(patients: Array(patients.prefix(5)), count: patients.count) }
  }
}

//! Which instances a target names.

use super::{Instance, InstanceId, Supervisor, Wanted};

impl Supervisor {
    /// The instances that a target of the control protocol names, by id: an app name, an
    /// id, `NAME:INSTANCE`, a namespace, `all`; the first of these that fits. Empty: none.
    pub fn named(&self, target: &str) -> Vec<InstanceId> {
        let pick = |fits: &dyn Fn(&Instance) -> bool| -> Vec<InstanceId> {
            let present = self.instances.iter().filter(|one| one.wanted != Wanted::Gone);
            present.filter(|instance| fits(instance)).map(|instance| instance.id).collect()
        };
        let by_name = pick(&|instance| &*instance.spec.name == target);
        if !by_name.is_empty() {
            return by_name;
        }
        if let Ok(id) = target.parse() {
            let by_id = pick(&|instance| instance.id == InstanceId(id));
            if !by_id.is_empty() {
                return by_id;
            }
        }
        if let Some((name, number)) = target.rsplit_once(':')
            && let Ok(number) = number.parse::<u32>()
        {
            let one = pick(&|instance| &*instance.spec.name == name && instance.number == number);
            if !one.is_empty() {
                return one;
            }
        }
        let by_namespace = pick(&|instance| &*instance.spec.namespace == target);
        if !by_namespace.is_empty() {
            return by_namespace;
        }
        if target == "all" { pick(&|_| true) } else { vec![] }
    }
}

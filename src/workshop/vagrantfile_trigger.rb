  # A box that is up is made ready at once. This never fails `vagrant up`: what is wrong is said instead.
  config.trigger.after :up do |trigger|
    trigger.name = "dwenv"
    trigger.on_error = :continue
    trigger.ruby do |env, machine|
      dwenv = Vagrant::Util::Which.which("dwenv")
      if ENV["DWENV_UP"]
        # `dwenv up` brought up the box, and provisions it itself.
      elsif dwenv.nil?
        machine.ui.warn("dwenv is not on the PATH. To make this box ready, run in this folder:")
        machine.ui.warn("    dwenv provision --target vagrant --yes")
      else
        # Vagrant's own Ruby variables would break the `vagrant` that dwenv asks for the box.
        done = Vagrant::Util::Env.with_original_env do
          system(dwenv, "provision", "--target", "vagrant", "--yes", chdir: env.root_path.to_s)
        end
        machine.ui.warn("The box is up, but not ready: see above, then `dwenv doctor`.") unless done
      end
    end
  end

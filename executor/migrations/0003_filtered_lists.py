from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('executor', '0002_knowledge'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='batchtask',
            index=models.Index(condition=models.Q(('priority', 2), _negated=True), fields=['batch', 'priority', 'number'], name='task_by_priority'),
        ),
        migrations.AddIndex(
            model_name='batchtask',
            index=models.Index(fields=['batch', 'function', 'number'], name='task_by_function'),
        ),
    ]
